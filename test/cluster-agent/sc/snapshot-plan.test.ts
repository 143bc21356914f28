// Plans of snapshots, on a model of a storage host: whatever is wished for, and wherever it
// crashes, a snapshot has one moment, a group has one, and nothing is let go of but what is
// released.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { SnapshotFate, SnapshotLedger } from '../../../cluster-agent/sc/snapshots/ledger.ts'
import {
  planSnapshots,
  type SnapshotPlan,
  type SnapshotStep,
} from '../../../cluster-agent/sc/snapshots/plan.ts'
import {
  parseWantedSnapshot,
  type WantedSnapshot,
} from '../../../cluster-agent/sc/snapshots/wanted.ts'
import type { SnapshotId, VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { VolumeSnapshotSchema } from '../../../proto/gen/mallee/v1/volumes_pb.js'

const SIZE_BYTES = 1 << 30
/** One alone, and a group of three. */
const SNAPSHOTS = 4

type Effect = () => void

/** What is on the host, and what an agent does to it, one small effect at a time. */
class Model {
  readonly wanted = new Map<SnapshotId, WantedSnapshot>()
  readonly volumes = new Set<VolumeId>()
  readonly kept = new Map<SnapshotId, { readonly take: number }>()
  readonly ledgers = new Map<SnapshotId, SnapshotLedger>()
  readonly uploads = new Set<SnapshotId>()
  readonly #moments = new Map<SnapshotId, number>()
  #takes = 0

  plan(): readonly SnapshotPlan[] {
    const snapshots = new Map(
      [...this.wanted.values()].map((one) => [
        one.id,
        {
          ledger: this.ledgers.get(one.id) ?? null,
          keptBytes: this.kept.has(one.id) ? SIZE_BYTES : null,
          uploads: this.uploads.has(one.id),
          volumeBytes: this.volumes.has(one.volume) ? SIZE_BYTES : null,
        },
      ]),
    )
    const settled = [...this.ledgers].flatMap(([id, { state }]) =>
      state === 'released' && !this.wanted.has(id) && !this.kept.has(id) ? [id] : [],
    )
    return planSnapshots([...this.wanted.values()], { snapshots, settled })
  }

  /** One pass, which ends after so many effects. */
  pass(most = Number.POSITIVE_INFINITY): void {
    let left = most
    for (const { steps } of this.plan()) {
      for (const step of steps) {
        for (const effect of this.#effects(step)) {
          if (left === 0) {
            this.uploads.clear()
            return
          }
          left -= 1
          effect()
          this.#check()
        }
      }
    }
  }

  complete(id: SnapshotId): void {
    const ledger = this.ledgers.get(id)
    if (!this.uploads.delete(id)) return
    assert.equal(ledger?.state, 'taken')
    const taken = { takenAtMs: 1, sizeBytes: SIZE_BYTES }
    const sums = { manifest: 'm', readBytes: 1, sentBytes: 1, dataBytes: 1 }
    this.ledgers.set(id, { version: 1, state: 'completed', ...taken, ...sums })
  }

  #effects(step: SnapshotStep): Effect[] {
    switch (step.kind) {
      case 'remove':
        return [() => this.kept.delete(step.id)]
      case 'take': {
        this.#takes += 1
        const take = this.#takes
        return [
          ...step.members.map(({ id, volume }) => () => {
            assert.ok(!this.kept.has(id), 'there is one already')
            assert.ok(this.volumes.has(volume))
            this.kept.set(id, { take })
          }),
          ...step.members.map(({ id }) => this.#record(id, fateOfTaken())),
        ]
      }
      case 'record':
        return [this.#record(step.id, step.fate)]
      case 'upload':
        return [
          () => {
            assert.ok(!this.uploads.has(step.id) && this.kept.has(step.id))
            this.uploads.add(step.id)
          },
        ]
      case 'stop':
        return [() => this.uploads.delete(step.id)]
      case 'forget':
        return [() => this.ledgers.delete(step.id)]
    }
  }

  #record(id: SnapshotId, fate: SnapshotFate): Effect {
    return () => this.ledgers.set(id, { version: 1, ...fate })
  }

  #check(): void {
    const takes = new Set<number>()
    for (const [id, { state }] of this.ledgers) {
      const isTaken = state === 'taken' || state === 'completed'
      if (!isTaken) continue
      const take = this.kept.get(id)?.take ?? assert.fail(`${id} is taken and not kept`)
      assert.equal(this.#moments.get(id) ?? take, take, `${id} was taken twice`)
      this.#moments.set(id, take)
      if (id !== idOf(0)) takes.add(take)
    }
    assert.ok(takes.size <= 1, 'a group of several moments')
  }

  checkDone(): void {
    assert.deepEqual(this.plan(), [])
    for (const { id, released } of this.wanted.values()) {
      const state = this.ledgers.get(id)?.state
      if (released) assert.equal(state, 'released')
      if (state === 'failed' || state === 'released') assert.ok(!this.kept.has(id))
    }
  }
}

interface Change {
  readonly kind: 'want' | 'release' | 'forget' | 'volume' | 'complete' | 'crash'
  readonly n: number
}

const change: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: one('want'), weight: 6 },
  { arbitrary: one('volume'), weight: 4 },
  { arbitrary: one('complete'), weight: 3 },
  { arbitrary: one('release', 'forget'), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('crash'), n: fc.nat({ max: 12 }) }), weight: 6 },
)

function one(...kinds: Change['kind'][]): fc.Arbitrary<Change> {
  return fc.record({ kind: fc.constantFrom(...kinds), n: fc.nat({ max: SNAPSHOTS - 1 }) })
}

describe('planSnapshots', () => {
  test('keeps one moment, lets go of what is released alone, and comes to an end', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 5, maxLength: 40 }), (changes) => {
        const model = new Model()
        for (const { kind, n } of changes) {
          if (kind === 'crash') model.pass(n)
          else if (kind === 'complete') model.complete(idOf(n))
          else if (kind === 'volume') model.volumes.add(wish(n).volume)
          else if (kind === 'forget') model.wanted.delete(idOf(n))
          else if (kind === 'release') {
            if (model.wanted.has(idOf(n))) model.wanted.set(idOf(n), wish(n, { released: true }))
          } else if (!model.wanted.has(idOf(n))) model.wanted.set(idOf(n), wish(n))
        }
        // What is recorded in one pass leads on in the next.
        for (let pass = 0; pass < 4; pass++) model.pass()
        model.checkDone()
      }),
      { numRuns: 500 },
    )
  })

  test('a group is taken when all of it is told, and by one step', () => {
    const model = whole()
    model.wanted.delete(idOf(3))
    model.wanted.delete(idOf(0))
    assert.deepEqual(model.plan(), [])
    model.wanted.set(idOf(3), wish(3))
    const [plan] = model.plan()
    assert.deepEqual(
      plan?.steps.map((step) => (step.kind === 'take' ? step.members.map(({ id }) => id) : step)),
      [[idOf(1), idOf(2), idOf(3)]],
    )
  })

  test('what was kept of a group and not written down is taken anew', () => {
    const model = whole()
    model.wanted.delete(idOf(0))
    model.pass(2)
    assert.equal(model.kept.size, 2)
    const kinds = model.plan()[0]?.steps.map(({ kind }) => kind)
    assert.deepEqual(kinds, ['remove', 'remove', 'take'])
  })

  test('what was kept of a group of which one is written down is written down too', () => {
    const model = whole()
    model.wanted.delete(idOf(0))
    model.pass(4)
    const kinds = model.plan()[0]?.steps.map(({ kind }) => kind)
    assert.deepEqual(kinds, ['record', 'record', 'upload'])
  })

  test('a volume that is not here is named, for all of its group', () => {
    const model = whole()
    model.volumes.delete(wish(2).volume)
    model.pass()
    for (const n of [1, 2, 3]) {
      assert.deepEqual(model.ledgers.get(idOf(n)), {
        version: 1,
        state: 'failed',
        reason: `the volume ${wish(2).volume} is not here`,
      })
    }
    assert.equal(model.ledgers.get(idOf(0))?.state, 'taken')
  })

  test('what was taken and is lost is an error, not another moment', () => {
    const model = whole()
    model.pass()
    model.kept.delete(idOf(0))
    const steps = model.plan().flatMap((plan) => plan.steps)
    assert.ok(steps.every(({ kind }) => kind !== 'take'))
    assert.ok(steps.some((step) => step.kind === 'record' && step.fate.state === 'failed'))
  })

  test('silence about a snapshot plans nothing', () => {
    const model = whole()
    model.pass()
    model.wanted.clear()
    assert.deepEqual(model.plan(), [])
  })
})

/** All are wanted, and their volumes are here. */
function whole(): Model {
  const model = new Model()
  for (let n = 0; n < SNAPSHOTS; n++) {
    model.wanted.set(idOf(n), wish(n))
    model.volumes.add(wish(n).volume)
  }
  return model
}

function wish(n: number, { released = false } = {}): WantedSnapshot {
  const parsed = parseWantedSnapshot(
    create(VolumeSnapshotSchema, {
      id: idOf(n),
      volumeId: `vol-${String(n).padStart(17, '0')}`,
      group: n === 0 ? '' : 'group',
      groupSize: n === 0 ? 0 : SNAPSHOTS - 1,
      released,
    }),
  )
  assert.ok(parsed.ok)
  return parsed.value
}

function idOf(n: number): SnapshotId {
  return `snap-${String(n).padStart(17, '0')}` as SnapshotId
}

function fateOfTaken(): SnapshotFate {
  return { state: 'taken', takenAtMs: 1, sizeBytes: SIZE_BYTES }
}
