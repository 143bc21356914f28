// Questions of operators about tenants' networks.

import type { FastifyInstance } from 'fastify'
import { MalleeError } from '../../common/errors.ts'
import { why } from '../control/why.ts'
import type { State } from '../store/state.ts'

const BODY = {
  type: 'object',
  required: ['from', 'to', 'protocol', 'port'],
  additionalProperties: false,
  properties: {
    from: { type: 'string', minLength: 1, maxLength: 64 },
    to: { type: 'string', minLength: 1, maxLength: 64 },
    protocol: { enum: ['tcp', 'udp', 'icmp'] },
    port: { type: ['integer', 'null'], minimum: 0, maximum: 65_535 },
  },
} as const

interface Body {
  readonly from: string
  readonly to: string
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  readonly port: number | null
}

export function addWhyRoutes(app: FastifyInstance, { state }: { readonly state: State }): void {
  app.post<{ Body: Body }>('/v1/why', { schema: { body: BODY } }, async ({ body }) => {
    if (body.protocol === 'icmp' && body.port !== null) {
      throw new MalleeError('BadArgument', `icmp has no port, ${body.port} was given`)
    }
    return why(await state.fresh(), { ...body, account: null })
  })

  app.get('/v1/identity-certificate', async () => {
    const signer = (await state.fresh()).get('identity-signer', 'self')
    if (signer === null) throw new MalleeError('NotFound', 'the cloud has no identity signer yet')
    return { certificate: signer.certificatePem }
  })
}
