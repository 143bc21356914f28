// Plans of volumes, on a model of a storage host: whatever is wished for in whatever order, and
// wherever it crashes, no volume has two writers and nothing is deleted that is not to be.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import type { Grant, WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { Model } from './volume-model.ts'
import { grantOf, idOf, MIB, ownOf, VOLUMES, wishOf } from './volume-wishes.ts'

interface Change {
  readonly kind: 'attach' | 'add' | 'detach' | 'old' | 'grow' | 'forget' | 'delete' | Mishap
  /** Of the volume; or after so many effects comes the crash. */
  readonly n: number
}

type Mishap = 'restart' | 'login' | 'crash' | 'come' | 'hide'

const volume = fc.nat({ max: VOLUMES - 1 })
const change: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: wish('attach', 'add', 'detach', 'old', 'grow', 'forget'), weight: 8 },
  { arbitrary: wish('delete'), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('login'), n: volume }), weight: 4 },
  { arbitrary: wish('restart', 'come', 'hide'), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('crash'), n: fc.nat({ max: 20 }) }), weight: 4 },
)

function wish(...kinds: Change['kind'][]): fc.Arbitrary<Change> {
  return fc.record({ kind: fc.constantFrom(...kinds), n: volume })
}

/** What a gateway wishes for, whose volumes have generations that only grow. */
class Wishes {
  readonly now = new Map<VolumeId, WantedVolume>()
  readonly #before = new Map<VolumeId, WantedVolume[]>()
  readonly #newest = new Map<VolumeId, number>()

  change(kind: Change['kind'], n: number): void {
    const id = idOf(n)
    const last = this.#before.get(id)?.at(-1) ?? wishOf(n)
    const next = this.#next(kind, last)
    if (kind === 'forget') this.now.delete(id)
    else this.now.set(id, next)
    if (kind !== 'old' && kind !== 'forget') this.#remember(next)
  }

  #next(kind: Change['kind'], last: WantedVolume): WantedVolume {
    const { id, sizeBytes } = last
    switch (kind) {
      case 'attach':
        return { ...last, deleted: false, grants: [this.#grant(id)] }
      case 'add':
        // Also of one that is to be deleted, which is a contradiction.
        return { ...last, grants: [...last.grants.slice(0, 3), this.#grant(id)] }
      case 'detach':
        return { ...last, grants: last.grants.slice(1) }
      case 'grow':
        return { ...last, sizeBytes: sizeBytes + MIB }
      case 'delete':
        return { ...last, deleted: true, grants: [] }
      case 'old':
        return this.#before.get(id)?.[0] ?? last
      default:
        return last
    }
  }

  #remember(wish: WantedVolume): void {
    this.#before.set(wish.id, [...(this.#before.get(wish.id) ?? []), wish])
  }

  #grant(id: VolumeId): Grant {
    const generation = (this.#newest.get(id) ?? 0) + 1
    this.#newest.set(id, generation)
    return generation > 2 ? ownOf(id, generation) : grantOf(id, generation)
  }
}

describe('planVolumes', () => {
  test('keeps one writer, deletes only what is to be deleted, and comes to an end', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 20, maxLength: 40 }), (changes) => {
        const model = new Model()
        const wishes = new Wishes()
        for (const { kind, n } of changes) {
          if (kind === 'restart') model.restartTgtd()
          else if (kind === 'login') model.login()
          else if (kind === 'come' && model.files.has(idOf(n))) model.restores.come(idOf(n))
          else if (kind === 'hide') model.restores.hide(idOf(n))
          else if (kind === 'crash') model.apply(model.plan([...wishes.now.values()]), n)
          else wishes.change(kind, n)
        }
        model.apply(model.plan([...wishes.now.values()]))
        const { forgotten, volumes } = model.plan([...wishes.now.values()])
        assert.deepEqual(forgotten, [])
        assert.deepEqual(
          volumes.flatMap(({ steps }) => steps),
          [],
        )
        model.checkDone()
      }),
      { numRuns: 400 },
    )
  })

  test('silence about a volume plans nothing', () => {
    const { model, wish } = oneAttached()
    assert.deepEqual(model.plan([]), { forgotten: [], volumes: [] })
    assert.ok(model.files.has(wish.id))
  })

  test('an export that somebody changed is made again', () => {
    const { model, wish } = oneAttached()
    assert.deepEqual(model.plan([wish]).volumes[0]?.steps, [])
    model.intrude({ ...grantOf(wish.id, 9), chapUser: 'intruder' })
    const kinds = model.plan([wish]).volumes[0]?.steps.map(({ kind }) => kind)
    assert.deepEqual(kinds, ['withdraw', 'export', 'grant'])
  })

  test('who was replaced is thrown out also when an old wish comes before that is done', () => {
    const { model, wish } = oneAttached()
    const newer = { ...wish, grants: [grantOf(wish.id, 2)] }
    // It is written down, and no more.
    model.apply(model.plan([newer]), 1)
    const kinds = model.plan([wish]).volumes[0]?.steps.map(({ kind }) => kind)
    assert.deepEqual(kinds, ['withdraw'])
  })

  test('who has not logged out when its attachment ends gets errors, and the next one its target', () => {
    const { model, wish } = oneAttached(ownOf)
    const kinds = (grants: readonly Grant[]) => {
      const [plan] = model.plan([{ ...wish, grants }]).volumes
      return plan?.steps.map(({ kind }) => kind)
    }
    assert.deepEqual(kinds([]), ['record', 'retire'])
    model.apply(model.plan([{ ...wish, grants: [ownOf(wish.id, 2)] }]))
    assert.deepEqual(kinds([ownOf(wish.id, 2)]), [])
    // It logs in to what is left, and its name is never served again.
    model.login()
    assert.deepEqual(kinds([ownOf(wish.id, 1)]), [])
    assert.deepEqual(kinds([grantOf(wish.id, 3)]), ['record', 'retire', 'export', 'grant'])
    model.logout()
    assert.deepEqual(kinds([]), ['record', 'withdraw'])
    model.login()
    assert.deepEqual(
      model
        .plan([{ ...wish, deleted: true, grants: [] }])
        .volumes[0]?.steps.map(({ kind }) => kind),
      ['record', 'retire', 'delete'],
    )
  })

  test('an attachment that ends leaves others of its volume as they are, unless they share a target', () => {
    const kinds = (of: typeof grantOf) => {
      const model = new Model()
      const id = idOf(VOLUMES - 1)
      const wish = { ...wishOf(VOLUMES - 1), grants: [of(id, 1), of(id, 2)] }
      model.apply(model.plan([wish]))
      model.login()
      const [plan] = model.plan([{ ...wish, grants: [of(id, 2)] }]).volumes
      return plan?.steps.map(({ kind }) => kind)
    }
    assert.deepEqual(kinds(ownOf), ['record', 'retire'])
    assert.deepEqual(kinds(grantOf), ['record', 'withdraw', 'export', 'grant'])
  })

  test('a wish that contradicts itself takes what is left of others along, and no more', () => {
    const { model, wish } = oneAttached()
    const torn = { ...wish, deleted: true }
    assert.deepEqual(model.plan([torn]).volumes[0]?.steps, [])
    // It is written down that nobody has it, and no more.
    model.apply(model.plan([{ ...wish, grants: [] }]), 1)
    const kinds = model.plan([torn]).volumes[0]?.steps.map(({ kind }) => kind)
    assert.deepEqual(kinds, ['withdraw'])
    assert.ok(model.files.has(wish.id))
  })

  test('bytes that are missing are not made again', () => {
    const { model, wish } = oneAttached()
    model.files.delete(wish.id)
    const [plan] = model.plan([wish]).volumes
    assert.deepEqual(plan?.steps, [])
    assert.match(plan?.trouble ?? '', /are missing/)
  })

  test('a volume is served from its own file when all of its snapshot has come', () => {
    const model = new Model()
    const wish = { ...wishOf(1), grants: [grantOf(idOf(1), 1)] }
    const kinds = () => model.plan([wish]).volumes[0]?.steps.map(({ kind }) => kind)
    const made = ['begin', 'create', 'record', 'show', 'export', 'grant']
    assert.deepEqual(kinds(), made)
    model.apply(model.plan([wish]))
    model.login()
    assert.deepEqual(kinds(), [])
    model.restores.hide(wish.id)
    assert.deepEqual(kinds(), ['withdraw', 'show', 'export', 'grant'])
    model.restores.come(wish.id)
    assert.deepEqual(kinds(), ['withdraw', 'export', 'grant', 'end'])
    model.apply(model.plan([wish]))
    assert.deepEqual(kinds(), [])
  })

  test('two volumes that share a CHAP user are left as they are', () => {
    const [one, two] = [wishOf(0), wishOf(1)]
    const grants = [grantOf(one.id, 1)]
    const plan = new Model().plan([
      { ...one, grants },
      { ...two, grants },
    ])
    for (const { steps, trouble } of plan.volumes) {
      assert.deepEqual(steps, [])
      assert.match(trouble ?? '', /shares the CHAP user/)
    }
  })
})

function oneAttached(of = grantOf): { model: Model; wish: WantedVolume } {
  const model = new Model()
  const wish = { ...wishOf(0), grants: [of(idOf(0), 1)] }
  model.apply(model.plan([wish]))
  model.login()
  return { model, wish }
}
