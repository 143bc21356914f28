// Image files come in here, as a stream: the size of the file is no size of memory.

import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Clock, RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { takeBlob } from '../blobs.ts'
import type { State } from '../store/state.ts'

interface BlobParts {
  readonly state: State
  readonly clock: Clock
  readonly randomHex: RandomHex
  readonly blobsDir: string
}

const QUERY = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string', minLength: 3, maxLength: 128 } },
} as const

const NAME = /^[\w.()[\]/@' -]{3,128}$/

export function addBlobRoutes(app: FastifyInstance, parts: BlobParts): void {
  const { state, clock, randomHex, blobsDir } = parts
  app.get('/v1/blobs', async () => ({ blobs: (await state.fresh()).all('blob') }))

  app.register(async (streams) => {
    streams.removeAllContentTypeParsers()
    streams.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const schema = { querystring: QUERY }
    streams.put<{ Querystring: { name: string } }>('/v1/blobs', { schema }, async (request) => {
      const { raw } = request
      const { name } = request.query
      if (!NAME.test(name)) {
        const text = `image name ${JSON.stringify(name)} is not 3 to 128 of A-Z a-z 0-9 ._-()[]/@'`
        throw new MalleeError('BadArgument', text)
      }
      const about = { nowMs: clock.nowMs(), unique: randomHex(8) }
      const blob = await takeBlob(blobsDir, name, raw as IncomingMessage, about)
      return state.update(async (tx) => {
        const known = await tx.get('blob', blob.sha256)
        if (known?.names.includes(name)) return known
        // The same bytes under another name: both names lead to them.
        const next = known === null ? blob : { ...known, names: [...known.names, name] }
        await tx.put('blob', [blob.sha256], next)
        return next
      })
    })
  })
}
