// Several gateways of both clouds, each with its own sight of one store, Redis or SQLite: whoever
// sends there is one chain, and it goes on when the one that sends is killed at any point of it.

import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { silentLog } from '../../../common/log.ts'
import { checkAudit } from '../../../gateway/peering/audit-check.ts'
import type { PeerAuditRecord, PeerChainRecord } from '../../../gateway/store/peer-records.ts'
import { openRedis } from '../../../gateway/store/redis.ts'
import type { Op } from '../../../gateway/store/store.ts'
import { until as conditionMet } from '../../../sandbox/until.ts'
import { lastFirst } from '../../support/cloud.ts'
import { MovedClock } from '../../support/moved-clock.ts'
import { startRedis } from '../../support/redis.ts'
import {
  acquainted,
  type CloudOptions,
  type Gateway,
  type Hold,
  type PeerCloud,
  startPeerCloud,
} from './clouds.ts'
import { peerOf, putLink, told } from './links.ts'
import { type Fate, Killed, mortal } from './memory-store.ts'

const STEP_MS = 500
const LINKS = 8
const FIRST_PORT = 52_001

interface Moment {
  readonly what: string
  readonly fate: Exclude<Fate, 'done'>
  readonly is: (ops: readonly Op[]) => boolean
}

/** Where a gateway can be killed in the middle of one link. */
const MOMENTS: readonly Moment[] = [
  { what: 'has recorded what it sends', fate: 'killed after', is: begins },
  { what: 'has sent it', fate: 'killed before', is: (ops) => logs(ops, 'stated') },
  { what: 'has the receipt', fate: 'killed after', is: (ops) => logs(ops, 'stated') },
  { what: 'takes it', fate: 'killed before', is: (ops) => logs(ops, 'heard') },
  { what: 'has taken it', fate: 'killed after', is: (ops) => logs(ops, 'heard') },
]

for (const kind of ['SQLite', 'Redis'] as const) {
  describe(`two gateways on each side, on ${kind}`, { concurrency: 3 }, () => {
    for (const moment of MOMENTS) {
      test(`the one that is killed when it ${moment.what} is gone on with`, async (t) => {
        const trap = new Trap(moment)
        const { east, west, until } = await pair(t, kind, trap)
        const epochs = [east, west].map((one) => one.peer().heard.epoch)
        const others = [await east.another(trap.hold(1)), await west.another()] as const
        trap.isSet = true
        let port = FIRST_PORT
        await until('one is killed', async () => {
          port += 1
          await Promise.all([putLink(others[0], 'cc', port), putLink(west, 'dd', port)]).catch(
            (error: unknown) => assert.ok(error instanceof Killed, String(error)),
          )
          return trap.caught !== null
        })
        const dead = trap.caught === 0 ? east : others[0]
        const living = trap.caught === 0 ? others[0] : east
        await dead.peering.stop()
        await Promise.all(
          Array.from({ length: LINKS }, (_, i) => [
            putLink(living, `ee-${i}`),
            putLink(i % 2 === 0 ? west : others[1], `ff-${i}`),
          ]).flat(),
        )
        await until('both know all, and nothing is under way', () =>
          [living, west].every(
            (one) =>
              told(one).length === 2 + LINKS &&
              one.state.view().all('peer-chain')[0]?.pending === null,
          ),
        )
        const [here, there] = [peerOf(living), peerOf(west)]
        assert.deepEqual([here.heard.epoch, there.heard.epoch], epochs, 'no chain began anew')
        assert.deepEqual([here.stated, there.stated], [there.heard, here.heard])
        await assertOneChain(living)
        await assertOneChain(west)
      })
    }
  })
}

/** Kills the first of a cloud's gateways that comes to that moment. */
class Trap {
  readonly #moment: Moment
  isSet = false
  caught: number | null = null
  /** Whose commit is under way that it is to be killed at: of two at once only one. */
  #chosen: number | null = null

  constructor(moment: Moment) {
    this.#moment = moment
  }

  hold(gateway: number): Hold {
    const { fate, is } = this.#moment
    const fateOf = (ops: readonly Op[]): Fate => {
      if (!this.isSet || this.caught !== null || !is(ops)) return 'done'
      this.#chosen ??= gateway
      return this.#chosen === gateway ? fate : 'done'
    }
    const died = (): void => {
      this.caught = gateway
    }
    return (store) => mortal(store, fateOf, died)
  }
}

async function pair(t: TestContext, kind: 'SQLite' | 'Redis', trap: Trap) {
  const end = lastFirst({ after: (step) => t.after(step) })
  const clock = new MovedClock()
  const cloudOf = async (name: string, options: CloudOptions): Promise<PeerCloud> => {
    if (kind === 'SQLite') return await startPeerCloud(end, name, { clock, ...options })
    const redis = await startRedis()
    end.after(() => redis.stop())
    const openStore = () => openRedis({ url: redis.url, namespace: 'test', log: silentLog })
    return await startPeerCloud(end, name, { clock, openStore, ...options })
  }
  const [east, west] = await Promise.all([
    cloudOf('east', { hold: trap.hold(0) }),
    cloudOf('west', {}),
  ])
  await west.accept(await east.invite({ name: 'west' }))
  await acquainted(east, west)
  const until = (what: string, holds: () => boolean | Promise<boolean>): Promise<void> =>
    conditionMet(what, () => {
      clock.move(STEP_MS)
      return holds()
    })
  return { east, west, until }
}

/** No entry of the log is out of its order, and the other side has given a receipt for each. */
async function assertOneChain({ state, peering }: Pick<Gateway, 'state' | 'peering'>) {
  const peer = peerOf({ state })
  const ask = (epoch: string, after: number) => peering.receipts(peer.uid, epoch, after)
  const { fault, difference, compared } = await checkAudit(state.view(), peer, ask)
  assert.deepEqual([fault, difference], [null, null])
  assert.equal(compared, peer.stated.sequence, 'each link once')
}

function begins(ops: readonly Op[]): boolean {
  return ops.some((op) => {
    if (!('put' in op) || !op.put.startsWith('peer-chain/')) return false
    return (JSON.parse(op.value) as PeerChainRecord).pending !== null && ops.length === 1
  })
}

function logs(ops: readonly Op[], what: PeerAuditRecord['what']): boolean {
  return ops.some((op) => {
    if (!('put' in op) || !op.put.startsWith('peer-audit/')) return false
    return (JSON.parse(op.value) as PeerAuditRecord).what === what
  })
}
