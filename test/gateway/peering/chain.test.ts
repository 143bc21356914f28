// Chains of statements between two sides whose messages are lost, doubled and reordered, and who
// come back from backups: in the end each knows what the other states, and nothing else.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, fromBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import {
  firstLink,
  hashOf,
  type Link,
  MAX_LINK_STATEMENTS,
  nextEpoch,
  nextLink,
  placeOf,
  sameHead,
  statementDigest,
} from '../../../gateway/peering/chain.ts'
import type { ChainHead } from '../../../gateway/store/peer-records.ts'
import {
  BatchSchema,
  BorderSchema,
  PrivateNameSchema,
  type Statement,
  StatementSchema,
} from '../../../proto/gen/mallee/v1/peering_pb.js'

const UIDS = { from: 'a'.repeat(32), to: 'b'.repeat(32) }
const NONE: ChainHead = { epoch: '', sequence: 0, hash: '' }

function border(n: number, publicKey: string): Statement {
  const value = create(BorderSchema, { rack: `r${n}`, host: 'cc', publicKey })
  return create(StatementSchema, { key: `border/r${n}/cc`, body: { case: 'border', value } })
}

interface SenderState {
  head: ChainHead
  given: Map<string, string>
  pending: Link | null
}
interface ReceiverState {
  heard: ChainHead
  /** With the statement's value the time at which it was stated. */
  told: Map<string, string>
}

/** As deliver.ts and heard.ts do it around the same functions, with a line that does anything. */
class Model {
  sender: SenderState = { head: NONE, given: new Map(), pending: null }
  receiver: ReceiverState = { heard: NONE, told: new Map() }
  now = new Map<string, Statement>()
  /** Everything that was ever sent. */
  readonly sent: Uint8Array[] = []
  #random = 0

  step(fate: 'arrives' | 'lost' | 'answer lost'): 'idle' | 'went' {
    const { head, given } = this.sender
    this.sender.pending ??=
      head.epoch === '' ? this.#anew('') : nextLink({ ...UIDS, head, given, now: this.now }, 1)
    const { pending } = this.sender
    if (pending === null) return 'idle'
    this.sent.push(pending.bytes)
    if (fate === 'lost') return 'went'
    const isTaken = this.receive(pending.bytes)
    if (fate === 'answer lost') return 'went'
    if (isTaken) this.#record(pending)
    else this.sender.pending = this.#anew(this.receiver.heard.epoch)
    return 'went'
  }

  /** False is StaleGeneration. */
  receive(bytes: Uint8Array): boolean {
    const batch = fromBinary(BatchSchema, bytes)
    const hash = hashOf(bytes)
    const place = placeOf(this.receiver.heard, batch, hash)
    if (place !== 'next') return place === 'again'
    if (batch.snapshot) this.receiver.told = new Map()
    for (const one of batch.statements) {
      if (one.body.case === undefined) this.receiver.told.delete(one.key)
      else this.receiver.told.set(one.key, statementDigest(one))
    }
    const epoch = Buffer.from(batch.epoch).toString('hex')
    this.receiver.heard = { epoch, sequence: Number(batch.sequence), hash }
    return true
  }

  compare(): void {
    if (this.sender.pending !== null || sameHead(this.sender.head, this.receiver.heard)) return
    this.sender.pending = this.#anew(this.receiver.heard.epoch)
  }

  #anew(there: string): Link {
    const pending = this.sender.pending?.head.epoch ?? ''
    const epoch = nextEpoch([this.sender.head.epoch, there, pending], 1, () =>
      String(this.#random++).padStart(16, '0'),
    )
    return firstLink({ ...UIDS, now: this.now }, epoch, 1)
  }

  #record({ head, bytes }: Link): void {
    if (head.epoch !== this.sender.head.epoch) this.sender.given = new Map()
    for (const one of fromBinary(BatchSchema, bytes).statements) {
      if (one.body.case === undefined) this.sender.given.delete(one.key)
      else this.sender.given.set(one.key, statementDigest(one))
    }
    this.sender.head = head
    this.sender.pending = null
  }
}

const act = fc.oneof(
  fc.record({ state: fc.nat(5), key: fc.constantFrom('x', 'y') }),
  fc.record({ withdraw: fc.nat(5) }),
  fc.record({ deliver: fc.constantFrom('arrives', 'lost', 'answer lost') }),
  fc.record({ replay: fc.nat(100) }),
  fc.record({ backUp: fc.constantFrom('sender', 'receiver') }),
  fc.record({ restore: fc.constantFrom('sender', 'receiver') }),
  fc.constant({ compare: true }),
)

test('two sides that lose, double and reorder messages, and restore backups, agree in the end', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const model = new Model()
      const backups = {
        sender: structuredClone(model.sender),
        receiver: structuredClone(model.receiver),
      }
      for (const one of acts) {
        if ('state' in one) {
          const said = border(one.state, one.key)
          model.now.set(said.key, said)
        }
        if ('withdraw' in one) model.now.delete(`border/r${one.withdraw}/cc`)
        if ('deliver' in one) model.step(one.deliver)
        if ('compare' in one) model.compare()
        if ('replay' in one && model.sent.length > 0) {
          model.receive(model.sent[one.replay % model.sent.length] ?? new Uint8Array())
        }
        if ('backUp' in one) {
          Object.assign(backups, { [one.backUp]: structuredClone(model[one.backUp]) })
        }
        if ('restore' in one) {
          Object.assign(model, { [one.restore]: structuredClone(backups[one.restore]) })
        }
      }
      for (let i = 0; i < 10; i++) {
        while (model.step('arrives') !== 'idle');
        model.compare()
      }
      const stated = [...model.now].map(([key, one]) => [key, statementDigest(one)]).sort()
      assert.deepEqual([...model.receiver.told].sort(), stated)
      assert.deepEqual([...model.sender.given].sort(), stated)
      assert.ok(sameHead(model.sender.head, model.receiver.heard))
      // Whatever went over the line before changes nothing any more.
      for (const bytes of model.sent.toReversed()) model.receive(bytes)
      assert.deepEqual([...model.receiver.told].sort(), stated)
      assert.ok(sameHead(model.sender.head, model.receiver.heard))
    }),
    { numRuns: 300 },
  )
})

test('more than one link has room for goes in several, connections before names', () => {
  const names = Array.from({ length: MAX_LINK_STATEMENTS + 10 }, (_, i) => {
    const key = `name/pcx-0123456789abcdef0/h${i}`
    const value = create(PrivateNameSchema, { hostName: `h${i}` })
    return create(StatementSchema, { key, body: { case: 'name', value } })
  })
  const model = new Model()
  for (const one of [...names, border(1, 'x')]) model.now.set(one.key, one)
  model.step('arrives')
  assert.ok(model.receiver.told.has('border/r1/cc'))
  assert.equal(model.receiver.told.size, MAX_LINK_STATEMENTS)
  while (model.step('arrives') !== 'idle');
  assert.equal(model.receiver.told.size, names.length + 1)
})

test('an epoch is greater than all before, also with a clock that went back', () => {
  const first = nextEpoch([], 5_000, () => '0'.repeat(16))
  const second = nextEpoch([first, ''], 1, () => 'f'.repeat(16))
  assert.ok(second > first)
  const last = `${'f'.repeat(16)}${'0'.repeat(16)}`
  assert.throws(() => nextEpoch([last], 1, () => ''), { code: 'Conflict' })
})
