// The door through which wishes for volumes come.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Grant, parseWantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { grantOf, idOf, MIB, SOURCE, wishOf } from './volume-wishes.ts'

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
    [
      'a target of its own that is another’s',
      { grants: [{ ...grant, targetIqn: 'iqn.2026-01.org.mallee:1:vol-2' }] },
      /target name/,
    ],
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
