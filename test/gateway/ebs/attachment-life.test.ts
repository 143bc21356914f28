// Who may write to a volume, in every order of what users ask and hosts report: reports may be old,
// come twice, in any order, or never.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Ledger, NO_GRANTS, nextLedger } from '../../../cluster-agent/sc/volumes/ledger.ts'
import {
  afterGrants,
  afterInstance,
  type Grant,
  type InstanceWord,
  isTold,
  withAttachment,
  withDetached,
  withReleased,
  withReplaced,
  writersOf,
} from '../../../gateway/ebs/attachment-life.ts'
import type { VolumeRecord } from '../../../gateway/store/volume-records.ts'
import { volume } from '../control/volume-changes.ts'

const INSTANCES = ['i-1', 'i-2', 'i-3'] as const
type Power = 'runs' | 'stopped' | 'gone'

type Step =
  | { readonly do: 'attach' | 'stop' | 'start' | 'terminate' | 'lose'; readonly on: string }
  | { readonly do: 'detach'; readonly which: number; readonly isForced: boolean }
  | { readonly do: 'replace'; readonly which: number }
  /** The SC or an NC makes its newest wish true and says so; nobody heard it yet. */
  | { readonly do: 'sc' }
  | { readonly do: 'nc'; readonly on: string }
  /** The gateway hears a report, counted from the newest. */
  | { readonly do: 'hear'; readonly what: 'sc' | 'nc'; readonly age: number }

const someStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('attach'), on: one(INSTANCES) }) },
  fc.record({ do: fc.constantFrom('stop', 'start', 'terminate', 'lose'), on: one(INSTANCES) }),
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('detach'), which: fc.nat(3), isForced: fc.boolean() }),
  },
  fc.record({ do: fc.constant('replace'), which: fc.nat(3) }),
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sc') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('nc'), on: one(INSTANCES) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('hear'),
      what: fc.constantFrom('sc', 'nc'),
      age: fc.oneof(fc.constant(0), fc.nat(6)),
    }),
  },
)

function one<T extends string>(all: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...all)
}

/** A volume's record, an SC that keeps its ledger, and the hosts of three instances. */
class World {
  record: VolumeRecord
  readonly power = new Map<string, Power>(INSTANCES.map((id) => [id, 'runs']))
  readonly #generations = new Map<number, string>()
  readonly #saidGranted = new Set<string>()
  #ledger: Ledger = NO_GRANTS
  readonly #scReports: (readonly Grant[])[] = [[]]
  readonly #ncReports: InstanceWord[] = []
  #made = 0

  constructor(multiAttach: boolean) {
    this.record = volume('vol-1', { multiAttach })
  }

  run(step: Step): void {
    const { record } = this
    switch (step.do) {
      case 'attach': {
        const isFree = record.multiAttach || record.attachments.length === 0
        const isReady = record.state === 'ready' && this.power.get(step.on) !== 'gone'
        if (isFree && isReady) this.record = withAttachment(record, this.#named(step.on))
        break
      }
      case 'detach': {
        const one = record.attachments[step.which]
        if (one === undefined) break
        const hasGuest = this.power.get(one.instance) === 'runs'
        this.record = withDetached(record, one.id, { isForced: step.isForced, hasGuest })
        break
      }
      case 'replace': {
        const one = writersOf(record)[step.which]
        if (one === undefined) break
        const { id, host, chapUser, sealedChapSecret } = this.#named(one.instance)
        this.record = withReplaced(record, one.id, { id, host, chapUser, sealedChapSecret })
        break
      }
      case 'stop':
      case 'start': {
        const isGone = this.power.get(step.on) === 'gone'
        if (!isGone) this.power.set(step.on, step.do === 'stop' ? 'stopped' : 'runs')
        break
      }
      case 'terminate':
      case 'lose':
        this.power.set(step.on, 'gone')
        if (step.do === 'lose') this.record = withReleased(record, step.on)
        break
      case 'sc':
        this.sc()
        break
      case 'nc':
        this.nc(step.on)
        break
      case 'hear':
        if (step.what === 'sc') this.hearSc(step.age)
        else this.hearNc(step.age)
        break
    }
    this.#check()
  }

  sc(): void {
    const grants = writersOf(this.record).map(({ id, generation, chapUser }) => ({
      ...{ attachment: id, generation, initiatorIqn: id, chapUser, chapSecret: '' },
    }))
    const { multiAttach } = this.record
    this.#ledger = nextLedger(this.#ledger, { grants, multiAttach }).ledger
    if (!multiAttach) assert.ok(this.#ledger.inForce.length <= 1, 'two may log in')
    this.#scReports.push(this.#ledger.inForce)
  }

  nc(instance: string): void {
    const guest = this.power.get(instance) ?? 'gone'
    const told = this.record.attachments.filter((one) => one.instance === instance && isTold(one))
    const plugged = guest === 'runs' ? told : []
    this.#ncReports.push({
      ...{ instance, host: `host of ${instance}`, guest },
      plugged: plugged.map(({ id, generation }) => ({ attachment: id, generation, trouble: '' })),
    })
  }

  hearSc(age: number): void {
    const grants = this.#scReports.at(-1 - age)
    if (grants === undefined) return
    for (const { attachment } of grants) this.#saidGranted.add(attachment)
    this.record = afterGrants(this.record, grants, (id) => this.power.get(id) !== 'runs')
  }

  hearNc(age: number): void {
    const word = this.#ncReports.at(-1 - age)
    // That a guest is off or gone is believed when the record of its instance says so, too.
    const isOff = word !== undefined && word.guest === this.power.get(word.instance)
    if (word?.guest === 'runs' || isOff) this.record = afterInstance(this.record, word)
  }

  /** Every host makes its wish true, and is heard. */
  settle(): void {
    for (let round = 0; round < 4; round += 1) {
      this.sc()
      this.hearSc(0)
      for (const id of INSTANCES) {
        this.nc(id)
        this.hearNc(0)
      }
    }
  }

  #named(instance: string) {
    this.#made += 1
    const id = `att-${this.#made}`
    return {
      ...{ id, instance, host: `host of ${instance}`, device: '/dev/sdf', attachedAtMs: 0 },
      ...{ deleteOnTermination: this.#made % 2 === 0, chapUser: id, sealedChapSecret: '' },
    }
  }

  #check(): void {
    const { attachments, multiAttach, instances } = this.record
    if (!multiAttach) assert.ok(writersOf(this.record).length <= 1, 'two may write')
    for (const { id, generation } of attachments) {
      assert.equal(
        this.#generations.get(generation) ?? id,
        id,
        `generation ${generation} came twice`,
      )
      this.#generations.set(generation, id)
    }
    for (const { id } of attachments.filter(isTold)) {
      assert.ok(this.#saidGranted.has(id), `${id} is told and was never granted`)
    }
    assert.deepEqual(new Set(instances), new Set(attachments.map(({ instance }) => instance)))
  }
}

test('a volume has one writer in every order of wishes and reports, and settles', () => {
  const steps = fc.array(someStep, { maxLength: 60 })
  fc.assert(
    fc.property(fc.boolean(), steps, (multiAttach, all) => {
      const world = new World(multiAttach)
      for (const step of all) world.run(step)
      world.settle()
      for (const { state, instance } of world.record.attachments) {
        assert.equal(state, 'attached')
        assert.notEqual(world.power.get(instance), 'gone')
      }
    }),
    { numRuns: 400 },
  )
})

const NEW = {
  ...{ id: 'att-1', instance: 'i-1', host: 'h1', device: '/dev/sdf', deleteOnTermination: true },
  ...{ attachedAtMs: 5, chapUser: 'att-1', sealedChapSecret: 's' },
}
const GRANT = { attachment: 'att-1', generation: 1 }
const WORD: InstanceWord = { instance: 'i-1', host: 'h1', guest: 'runs', plugged: [] }
const PLUGGED = { ...WORD, plugged: [{ ...GRANT, trouble: '' }] }
const attaching = withAttachment(volume('vol-1'), NEW)
const granted = afterGrants(attaching, [GRANT], () => false)
const attached = afterInstance(granted, PLUGGED)

function stateOf(record: VolumeRecord): string {
  return record.attachments.map(({ state, granted: is }) => `${state}${is ? '+' : ''}`).join()
}

test('an attachment is told when it is granted, and attached when it is plugged', () => {
  assert.equal(stateOf(attaching), 'attaching')
  assert.equal(stateOf(afterInstance(attaching, PLUGGED)), 'attaching')
  assert.equal(stateOf(granted), 'attaching+')
  assert.equal(stateOf(afterInstance(granted, WORD)), 'attaching+')
  assert.equal(stateOf(attached), 'attached+')
  assert.equal(stateOf(afterGrants(attaching, [GRANT], () => true)), 'attached+')
  assert.throws(() => withAttachment(attached, { ...NEW, id: 'att-2' }), RangeError)
})

test('a grant of another generation, or a word of another host, is no word about it', () => {
  assert.equal(
    afterGrants(attaching, [{ ...GRANT, generation: 2 }], () => false),
    attaching,
  )
  assert.equal(afterInstance(granted, { ...PLUGGED, host: 'h2' }), granted)
  assert.equal(afterInstance(attached, PLUGGED), attached)
})

test('a detachment waits for the guest, then for the SC; force waits for the SC alone', () => {
  const asked = { isForced: false, hasGuest: true }
  const detaching = withDetached(attached, 'att-1', asked)
  assert.equal(stateOf(detaching), 'detaching+')
  assert.equal(withDetached(detaching, 'att-1', asked), detaching)
  assert.equal(afterInstance(detaching, PLUGGED), detaching)
  const released = afterInstance(detaching, WORD)
  assert.equal(stateOf(released), 'released+')
  assert.equal(
    afterGrants(released, [GRANT], () => false),
    released,
  )
  assert.equal(stateOf(afterGrants(released, [], () => false)), '')
  assert.equal(stateOf(withDetached(detaching, 'att-1', { ...asked, isForced: true })), 'released+')
  assert.equal(stateOf(withDetached(attaching, 'att-1', asked)), 'released')
  assert.equal(stateOf(withDetached(attached, 'att-1', { ...asked, hasGuest: false })), 'released+')
})

test('what stands in the way of the guest is kept until it does no more', () => {
  const trouble = { ...WORD, plugged: [{ ...GRANT, trouble: 'no slot' }] }
  const troubled = afterInstance(granted, trouble)
  assert.equal(troubled.attachments[0]?.trouble, 'no slot')
  assert.equal(stateOf(troubled), 'attaching+')
  assert.equal(afterInstance(troubled, trouble), troubled)
  const mended = afterInstance(troubled, PLUGGED)
  assert.equal(mended.attachments[0]?.trouble, undefined)
  assert.equal(stateOf(mended), 'attached+')
})

test('a volume goes with the last instance that had it, when it was to', () => {
  const gone = afterInstance(attached, { ...WORD, guest: 'gone' })
  assert.equal(`${gone.state} ${stateOf(gone)}`, 'deleting released+')
  const kept = withReleased(
    withAttachment(volume('vol-1'), { ...NEW, deleteOnTermination: false }),
    'i-1',
  )
  assert.equal(`${kept.state} ${stateOf(kept)}`, 'ready released')
  const shared = withAttachment(withAttachment(volume('vol-1', { multiAttach: true }), NEW), {
    ...{ ...NEW, id: 'att-2', instance: 'i-2' },
  })
  assert.equal(withReleased(shared, 'i-1').state, 'ready')
})

test('a replaced attachment is another generation with the same device', () => {
  const fresh = { id: 'att-2', host: 'h2', chapUser: 'att-2', sealedChapSecret: 't' }
  const { attachments, generation } = withReplaced(attached, 'att-1', fresh)
  assert.equal(generation, 2)
  assert.deepEqual(
    attachments.map(({ id, state, device, host }) => [id, state, device, host]),
    [
      ['att-1', 'released', '/dev/sdf', 'h1'],
      ['att-2', 'attaching', '/dev/sdf', 'h2'],
    ],
  )
})
