// Questions of operators about tenants' networks.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { why } from '../control/why.ts'
import type { State } from '../store/state.ts'
import { route } from './route.ts'
import { flag, integer, list, named, nullable, object, oneOf, text } from './schema.ts'

const END = text({
  ...{ minLength: 1, maxLength: 64 },
  description: 'Instance id, interface id or address',
})
const QUESTION = object({
  from: END,
  to: END,
  protocol: oneOf('tcp', 'udp', 'icmp'),
  port: nullable(integer({ minimum: 0, maximum: 65_535 }), 'null for icmp'),
})
const STEP = named(
  'Step',
  object({
    direction: oneOf('forward', 'reply'),
    at: text({ description: "The id of what decides, or a rack's name" }),
    passes: flag('It lets the packet pass'),
    code: text({ description: "Empty when it passes; else as AWS's Reachability Analyzer has it" }),
    side: oneOf('egress', 'ingress'),
    text: text({}),
  }),
)
const FINDING = named(
  'Finding',
  object({
    passes: flag('Packet and reply pass'),
    packet: text({ description: 'In words' }),
    steps: list(STEP, { description: 'Up to the first that does not let it pass' }),
  }),
)

export function addWhyRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  route(
    app,
    {
      id: 'askWhy',
      summary: 'Why a packet passes from one end to another, or does not',
      method: 'POST',
      path: '/v1/why',
      body: QUESTION,
      isReading: true,
      bodyExample: { from: '198.51.100.7', to: 'i-0123456789abcdef0', protocol: 'tcp', port: 443 },
      answer: FINDING,
      example: {
        passes: false,
        packet: 'tcp 443 from 198.51.100.7 to 10.0.0.5',
        steps: [
          {
            ...{ direction: 'forward', at: 'sg-0123456789abcdef0', passes: false, side: 'ingress' },
            ...{ code: 'ENI_SG_RULES_MISMATCH', text: 'no rule lets it in' },
          },
        ],
      },
      refusals: ['NotFound'],
    },
    async ({ body }) => {
      if (body.protocol === 'icmp' && body.port !== null) {
        throw new MalleeError('BadArgument', `icmp has no port, ${body.port} was given`)
      }
      return why(await state.fresh(), { ...body, account: null })
    },
  )

  route(
    app,
    {
      id: 'getIdentityCertificate',
      summary: "The certificate that proves instances' identity documents",
      method: 'GET',
      path: '/v1/identity-certificate',
      answer: object({ certificate: text({ description: 'PEM' }) }),
      example: { certificate: '-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n' },
      refusals: ['NotFound'],
    },
    async () => {
      const signer = (await state.fresh()).get('identity-signer', 'self')
      if (signer === null) throw new MalleeError('NotFound', 'the cloud has no identity signer yet')
      return { certificate: signer.certificatePem }
    },
  )
}
