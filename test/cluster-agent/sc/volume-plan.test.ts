// Plans of volumes, on a model of a storage host: whatever is wished for in whatever order, and
// wherever it crashes, no volume has two writers and nothing is deleted that is not to be.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  parseSnapshotId,
  parseVolumeId,
  type SnapshotId,
  type VolumeId,
} from '../../../cluster-agent/sc/volumes/backend.ts'
import {
  type Grant,
  parseWantedVolume,
  type WantedVolume,
} from '../../../cluster-agent/sc/volumes/wanted.ts'
import { Model } from './volume-model.ts'

const MIB = 1 << 20
/** The last one has several writers. */
const VOLUMES = 3
const SOURCE = { snapshot: snapshotId(), manifest: 'ab'.repeat(32) }

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
    return grantOf(id, generation)
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

describe('parseWantedVolume', () => {
  const good = { ...wishOf(0), grants: [grantOf(idOf(0), 1)] }
  const [grant] = good.grants
  test('takes what is right', () => {
    assert.deepEqual(parseWantedVolume(good), { ok: true, value: good })
  })
  for (const [what, wrong, why] of [
    ['a wrong id', { id: 'vol-1' }, /no volume id/],
    ['a size between two MiB', { sizeBytes: MIB + 512 }, /bytes/],
    ['no size', { sizeBytes: 0 }, /bytes/],
    ['too large a size', { sizeBytes: 2 ** 47 }, /bytes/],
    [
      'a target name with a comma',
      { targetIqn: `iqn.2026-01.org.mallee,x:${good.id}` },
      /target name/,
    ],
    ['a target name of another', { targetIqn: 'iqn.2026-01.org.mallee:vol-2' }, /target name/],
    ['too many grants', { grants: many(17) }, /17 grants/],
    ['a grant twice', { grants: [grant, grant] }, /same attachment/],
    ['a generation twice', { grants: [grant, { ...grant, attachment: 'b' }] }, /same generation/],
    ['a wrong attachment', { grants: [{ ...grant, attachment: 'a/b' }] }, /the id/],
    ['the generation 0', { grants: [{ ...grant, generation: 0 }] }, /the generation/],
    ['a wrong initiator', { grants: [{ ...grant, initiatorIqn: 'ALL' }] }, /initiator name/],
    ['a CHAP user with a comma', { grants: [{ ...grant, chapUser: 'a,b' }] }, /CHAP user/],
    ['a wrong snapshot', { source: { ...SOURCE, snapshot: 'snap-1', sizeBytes: MIB } }, /snap-1/],
    ['no manifest', { source: { ...SOURCE, manifest: '', sizeBytes: MIB } }, /the manifest/],
    ['too large a snapshot', { source: { ...SOURCE, sizeBytes: 65 * MIB } }, /begin as 68157440/],
    [
      'no room for a header',
      { source: { ...SOURCE, sizeBytes: 49 * MIB, isPlain: true }, encryptionKey: 'ab'.repeat(32) },
      /begin as 51380224/,
    ],
    [
      'no key to encrypt by',
      { source: { ...SOURCE, sizeBytes: MIB, isPlain: true } },
      /encrypted by no key/,
    ],
    [
      'a short CHAP secret',
      { grants: [{ ...grant, chapSecret: 'short' }] },
      /CHAP secret of the wrong/,
    ],
  ] as const) {
    test(`refuses ${what}`, () => {
      const parsed = parseWantedVolume({ ...good, ...(wrong as Partial<typeof good>) })
      assert.ok(!parsed.ok)
      assert.match(parsed.why, why)
      assert.doesNotMatch(parsed.why, /short/)
    })
  }

  function many(count: number): Grant[] {
    return Array.from({ length: count }, (_, i) => grantOf(idOf(0), i + 1))
  }
})

function oneAttached(): { model: Model; wish: WantedVolume } {
  const model = new Model()
  const wish = { ...wishOf(0), grants: [grantOf(idOf(0), 1)] }
  model.apply(model.plan([wish]))
  model.login()
  return { model, wish }
}

function wishOf(n: number): WantedVolume {
  const id = idOf(n)
  return {
    id,
    sizeBytes: 64 * MIB,
    targetIqn: `iqn.2026-01.org.mallee:${id}`,
    multiAttach: n === VOLUMES - 1,
    grants: [],
    deleted: false,
    // The second one begins as a snapshot.
    source: n === 1 ? { ...SOURCE, sizeBytes: 32 * MIB } : null,
  }
}

function snapshotId(): SnapshotId {
  const id = parseSnapshotId(`snap-${'0'.repeat(17)}`)
  assert.ok(id.ok)
  return id.value
}

function idOf(n: number): VolumeId {
  const id = parseVolumeId(`vol-${String(n + 1).padStart(17, '0')}`)
  assert.ok(id.ok)
  return id.value
}

function grantOf(id: VolumeId, generation: number): Grant {
  return {
    attachment: `a${generation}`,
    generation,
    // Two attachments out of three come from the same host.
    initiatorIqn: `iqn.2026-01.org.mallee:nc${generation % 2}`,
    chapUser: `${id}-a${generation}`,
    chapSecret: `secret-of-${id}-${generation}`,
  }
}
