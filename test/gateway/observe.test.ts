// What operators see of the store and the tunnels.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { Sessions, type TunnelSeen } from '../../gateway/federation/sessions.ts'
import { createMetrics } from '../../gateway/metrics.ts'
import { measured, watchGauges } from '../../gateway/observe.ts'
import { MemoryView } from '../../gateway/store/memory-view.ts'
import type { State } from '../../gateway/store/state.ts'
import { ImagesStatusSchema, StatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import type { OpenSession } from '../../proto/session.ts'

const NOW = 1_000_000
const clock: Clock = { nowMs: () => NOW, sleep: async () => undefined }

class TwoTunnels extends Sessions {
  override tunnels(): TunnelSeen[] {
    const seen = { fromRack: 'a', toRack: 'b', receivedBytes: 0, sentBytes: 0, endpoint: '' }
    return [
      { ...seen, latestHandshakeMs: NOW - 100_000 },
      { ...seen, latestHandshakeMs: NOW - 181_000 },
    ]
  }
}

function stateThat(update: () => Promise<never>): State {
  const refuse = (): never => {
    throw new Error('not in this test')
  }
  return {
    view: () => new MemoryView(),
    fresh: refuse,
    update,
    onChange: refuse,
    changesSince: refuse,
    epoch: refuse,
    close: refuse,
  }
}

test('measured counts updates by how they end and passes their errors on', async () => {
  const metrics = createMetrics()
  const endings = ['ok', 'Conflict', 'StoreFull'] as const
  for (const ending of endings) {
    const state = stateThat(async () => {
      if (ending === 'ok') return 7 as never
      throw new MalleeError(ending, 'as the test wants it')
    })
    const update = measured(state, metrics, clock).update(async () => undefined)
    if (ending === 'ok') assert.equal(await update, 7)
    else await assert.rejects(update, { code: ending })
  }
  const { text } = await metrics.scrape()
  for (const outcome of ['ok', 'conflict', 'failed']) {
    assert.match(text, new RegExp(`mallee_store_\\w+_count\\{outcome="${outcome}"\\} 1`))
  }
})

test('watchGauges adds up what hosts say of images', async () => {
  const metrics = createMetrics()
  const state = stateThat(() => Promise.reject(new Error('nothing is written here')))
  const sessions = new Sessions()
  const agent = { rack: 'a', host: 'a1' }
  const session: OpenSession = {
    agent: { kind: 'host', cloud: 'c', roles: ['cc'], ...agent },
    command: () => Promise.reject(new Error('not in this test')),
    close: async () => undefined,
  }
  sessions.opened(agent, session, { epoch: 'e', generation: 0 }, 0)
  const said = (host: string, hits: bigint) => {
    const value = create(ImagesStatusSchema, { host, bytes: 10n, hits, bytesFromNeighbours: 5n })
    return create(StatusSchema, { key: `images/${host}`, body: { case: 'images', value } })
  }
  sessions.observed(agent, true, [said('a1', 1n), said('a2', 1n)])
  sessions.observed(agent, false, [said('a2', 4n)])
  const certificateEnds = () => ({ ca: 1_000, gateway: 2_000 })
  watchGauges({ state, sessions, metrics, certificateEnds, clock })()
  const { text } = await metrics.scrape()
  for (const line of [
    'mallee_images_kept_bytes 20',
    'mallee_images_asked{outcome="hit"} 5',
    'mallee_images_received_bytes{from="neighbour"} 10',
  ]) {
    assert.ok(text.includes(line), line)
  }
})

test('watchGauges tells tunnels that shook hands lately from silent ones', async () => {
  const metrics = createMetrics()
  const state = stateThat(() => Promise.reject(new Error('nothing is written here')))
  const certificateEnds = () => ({ ca: 1_000, gateway: 2_000 })
  watchGauges({ state, sessions: new TwoTunnels(), metrics, certificateEnds, clock })()
  const { text } = await metrics.scrape()
  assert.match(text, /mallee_tunnels\{state="up"\} 1/)
  assert.match(text, /mallee_tunnels\{state="silent"\} 1/)
})
