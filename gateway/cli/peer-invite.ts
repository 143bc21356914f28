// `mallee peer invite` and `accept`: two operators agree.

import { text as readText } from 'node:stream/consumers'
import { buildCommand, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { parsePeerInvitation } from '../../common/peer-invitation.ts'
import type { NewInvitation, PreviewShown } from '../local/peer-invitations.ts'
import type { InvitationShown, LimitsShown, PeerShown } from '../local/peer-schemas.ts'
import { callLocal } from './client.ts'
import { confirm } from './confirm.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { peerInvitationName } from './names.ts'
import { type TermsFlags, termsFlags, termsOf } from './peer-terms.ts'

interface InviteFlags extends LocalFlags, TermsFlags {
  readonly ttl: number
}

interface AcceptFlags extends LocalFlags, TermsFlags {
  readonly name?: string
  readonly yes: boolean
}

const MINUTES_PER_HOUR = 60
const JSON_AND_SOCKET = { socket: socketFlag, json: jsonFlag } as const

export const inviteCommand = buildCommand<InviteFlags, [string]>({
  docs: {
    brief: 'Make an invitation for the operator of another cloud',
    fullDescription: [
      'Make an invitation for the operator of another cloud: single use, with the place and the CA of',
      'this one. Hand it over as you would a password. NAME is what the other cloud is called here; the',
      'flags say what it may do here.',
      '',
      'Examples:',
      '  mallee peer invite partner',
      '  mallee peer invite partner --ttl 48 --borders a,b --bandwidth 500',
      '  mallee peer invite partner --accept-prefix 10.64.0.0/10 --expires 2030-12-31',
    ].join('\n'),
  },
  parameters: {
    flags: {
      ttl: {
        kind: 'parsed',
        parse: numberParser,
        placeholder: 'hours',
        default: '24',
        brief: 'Hours until it expires, at most 720',
      },
      ...termsFlags,
      ...JSON_AND_SOCKET,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        { brief: 'What the other cloud will be called here', parse: String, placeholder: 'name' },
      ],
    },
  },
  func: ({ socket, json, ttl, ...terms }, name) =>
    answering(json, async () => {
      const body = { name, minutes: Math.round(ttl * MINUTES_PER_HOUR), ...termsOf(terms) }
      const call = { method: 'POST', path: '/v1/peer-invitations', body } as const
      const answer = await callLocal<NewInvitation>(socket, call)
      const until = new Date(answer.expiresAtMs).toISOString()
      const { caDigest } = parsePeerInvitation(answer.invitation)
      const next = `Valid once, until ${until}. At the other cloud: mallee peer accept INVITATION`
      print(json, answer, `${answer.invitation}\n${next}\nIt will show the CA ${caDigest}`)
    }),
})

export const acceptCommand = buildCommand<AcceptFlags, [string]>({
  docs: {
    brief: 'Accept an invitation of another cloud',
    fullDescription: [
      'Accept an invitation of another cloud. Shows what would be connected, and asks. Compare the CA',
      'with what `mallee peer invite` printed there. The flags say what the other may do here.',
      '',
      'Examples:',
      '  mallee peer accept mlp1.lab.…@203.0.113.7:8775',
      '  mallee peer accept mlp1.lab.…@203.0.113.7:8775 --name lab --region-name lab-1 --yes',
    ].join('\n'),
  },
  parameters: {
    flags: {
      name: {
        kind: 'parsed',
        parse: String,
        placeholder: 'name',
        optional: true,
        brief: 'What it is called here; else what it calls itself',
      },
      yes: { kind: 'boolean', brief: 'Do not ask', default: false },
      ...termsFlags,
      ...JSON_AND_SOCKET,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          brief: 'What mallee peer invite printed; - reads it from standard input',
          parse: String,
          placeholder: 'invitation',
        },
      ],
    },
  },
  func: (flags, given) =>
    answering(flags.json, async () => {
      await accept(flags, given === '-' ? (await readText(process.stdin)).trim() : given)
    }),
})

export const invitationsCommand = buildCommand<LocalFlags>({
  docs: helped('Invitations, and who has accepted them', 'mallee peer invitations'),
  parameters: { flags: JSON_AND_SOCKET },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/peer-invitations' } as const
      const answer = await callLocal<{ invitations: readonly InvitationShown[] }>(socket, call)
      const rows = answer.invitations.map(({ id, name, expiresAtMs, usedBy }) => [
        ...[id, name, new Date(expiresAtMs).toISOString(), usedBy ?? ''],
      ])
      print(json, answer, table(['INVITATION', 'PEER', 'UNTIL', 'ACCEPTED BY'], rows))
    }),
})

export const revokeCommand = buildCommand<LocalFlags, [string]>({
  docs: helped('End an invitation that nobody has accepted', 'mallee peer revoke 0123456789abcdef'),
  parameters: {
    flags: JSON_AND_SOCKET,
    positional: { kind: 'tuple', parameters: [peerInvitationName] },
  },
  func: ({ socket, json }, id) =>
    answering(json, async () => {
      const path = `/v1/peer-invitations/${encodeURIComponent(id)}`
      print(json, await callLocal(socket, { method: 'DELETE', path }), `${id}: revoked`)
    }),
})

async function accept(flags: AcceptFlags, invitation: string): Promise<void> {
  const { socket, json, yes, name, ...terms } = flags
  const body = { invitation, ...(name !== undefined && { name }), ...termsOf(terms) }
  const inspect = { method: 'POST', path: '/v1/peers/inspect', body } as const
  const preview = await callLocal<PreviewShown>(socket, inspect)
  if (!json) process.stderr.write(`${previewText(preview)}\n`)
  await confirm({ yes, json }, `${preview.other.name} becomes a peer of this cloud`)
  const peer = await callLocal<PeerShown>(socket, { method: 'POST', path: '/v1/peers', body })
  print(json, peer, `${peer.name}: agreed, region ${peer.region}`)
}

function previewText({ own, other, regionHere, conflicts, granted }: PreviewShown): string {
  const lists = (texts: readonly string[]): string => texts.join(', ')
  const rows = [
    ['cloud', own.name, other.name],
    ['uid', own.uid, other.uid],
    ['region', own.region, `${other.region}, here ${regionHere}`],
    ['prefixes', lists(own.prefixes), lists(other.prefixes)],
    ['reached at', lists(own.endpoints), lists(other.endpoints)],
  ]
  const overlaps = conflicts.map((one) => `  ${one.own} and ${one.theirs}`)
  return [
    table(['', 'THIS CLOUD', 'THE OTHER'], rows),
    ...own.fingerprints.map((one) => `CA of ${own.name}: ${one}`),
    ...other.fingerprints.map((one) => `CA of ${other.name}: ${one}`),
    ...(overlaps.length === 0
      ? ['No prefix of one overlaps with one of the other.']
      : ['Overlapping prefixes, which each side will see translated:', ...overlaps]),
    `The other lets this cloud have ${limitsText(granted)}.`,
  ].join('\n')
}

export function limitsText(limits: LimitsShown): string {
  const { maxConnections, maxPrefixes, mbps, expiresAtMs, acceptedPrefixes } = limits
  const rate = mbps === 0 ? 'any bandwidth' : `${mbps} Mbit/s`
  const until = expiresAtMs === 0 ? '' : `, until ${new Date(expiresAtMs).toISOString()}`
  const within = acceptedPrefixes.length === 0 ? '' : ` within ${acceptedPrefixes.join(', ')}`
  return `${maxConnections} peerings, ${maxPrefixes} prefixes${within}, ${rate}${until}`
}
