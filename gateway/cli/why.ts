// `mallee why` and `mallee identity-certificate`: what tenants' packets meet, and what proves an
// instance's identity document.

import { buildCommand, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Finding } from '../control/why.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

const PROTOCOLS = ['tcp', 'udp', 'icmp'] as const
type Protocol = (typeof PROTOCOLS)[number]

interface WhyFlags extends LocalFlags {
  readonly protocol?: Protocol
}

export const whyCommand = buildCommand<WhyFlags, [string, string, number?]>({
  docs: {
    brief: 'Why a packet passes from one end to another, or does not',
    fullDescription: [
      'Why a packet passes from one end to another, or does not: every rule, route and address',
      'that it meets. Ends are instance ids, interface ids or addresses; one of them may be',
      'outside of the cloud. Exits with 0 when it passes and with 1 when it does not.',
      '',
      'Examples:',
      '  mallee why i-0123456789abcdef0 i-0123456789abcdef1 443',
      '  mallee why 198.51.100.7 203.0.113.9 80',
      '  mallee why i-0123456789abcdef0 2001:db8::1 --protocol icmp',
    ].join('\n'),
  },
  parameters: {
    flags: {
      protocol: {
        kind: 'parsed',
        parse: parseProtocol,
        proposeCompletions: () => PROTOCOLS,
        brief: 'tcp, udp or icmp; tcp with a port and icmp without when not given',
        placeholder: 'protocol',
        optional: true,
      },
      socket: socketFlag,
      json: jsonFlag,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        { brief: 'Who sends', parse: String, placeholder: 'from' },
        { brief: 'Who shall get it', parse: String, placeholder: 'to' },
        { brief: 'Port, 0 to 65535', parse: numberParser, placeholder: 'port', optional: true },
      ],
    },
  },
  func: (flags, from, to, port) => answering(flags.json, () => ask(flags, from, to, port ?? null)),
})

export const identityCertificateCommand = buildCommand<LocalFlags>({
  docs: helped(
    "The certificate that proves instances' identity documents, as PEM",
    'mallee identity-certificate > mallee.pem',
  ),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/identity-certificate' } as const
      const answer = await callLocal<{ certificate: string }>(socket, call)
      print(json, answer, answer.certificate.trimEnd())
    }),
})

async function ask(flags: WhyFlags, from: string, to: string, port: number | null): Promise<void> {
  const protocol = flags.protocol ?? (port === null ? 'icmp' : 'tcp')
  if (protocol !== 'icmp' && port === null) {
    throw new MalleeError('BadArgument', `${protocol} needs a port: mallee why FROM TO PORT`)
  }
  const body = { from, to, protocol, port }
  const finding = await callLocal<Finding>(flags.socket, { method: 'POST', path: '/v1/why', body })
  print(flags.json, finding, textOf(finding))
  if (!finding.passes) process.exitCode = 1
}

function textOf({ passes, packet, steps }: Finding): string {
  const rows = steps.map((step) => [
    step.passes ? 'ok' : 'NO',
    step.direction === 'reply' ? 'reply' : '',
    step.at,
    step.code === '' ? step.text : `${step.text} (${step.code})`,
  ])
  const verdict = passes ? 'passes, and so does the reply' : 'does not pass'
  return `${packet}: ${verdict}\n${table(['', '', 'WHERE', 'WHAT'], rows)}`
}

function parseProtocol(text: string): Protocol {
  const found = PROTOCOLS.find((one) => one === text)
  if (found !== undefined) return found
  throw new MalleeError('BadArgument', `protocol ${JSON.stringify(text)} is none of tcp, udp, icmp`)
}
