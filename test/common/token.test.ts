// Join tokens: what they carry, and every way in which one can be garbled.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, messageOf } from '../../common/errors.ts'
import {
  formatToken,
  hashSecret,
  newTokenSecret,
  parseInvitation,
  parseToken,
  sameSecret,
} from '../../common/token.ts'

const TOKEN = {
  rack: 'rack-7',
  id: '0123456789abcdef',
  secret: newTokenSecret(),
  caDigest: 'a1'.repeat(32),
}
const TEXT = formatToken(TOKEN)

test('parseToken reads what formatToken wrote', () => {
  assert.deepEqual(parseToken(TEXT), TOKEN)
  assert.match(TEXT, /^mlt1\.rack-7\.0123456789abcdef\.[\w-]{43}\.[0-9a-f]{64}\.[0-9a-f]{8}$/)
})

test('parseToken finds any one changed, lost or doubled character and hides the secret', () => {
  for (let at = 0; at < TEXT.length; at += 1) {
    const other = TEXT[at] === '7' ? '8' : '7'
    const [before, after] = [TEXT.slice(0, at), TEXT.slice(at + 1)]
    for (const garbled of [
      before + other + after,
      before + after,
      before + TEXT[at] + other + after,
    ]) {
      assert.throws(
        () => parseToken(garbled),
        (error) => {
          assert.equal(codeOf(error), 'TokenGarbled', garbled)
          assert.ok(!messageOf(error).includes(TOKEN.secret.slice(0, 8)))
          return true
        },
      )
    }
  }
})

for (const [text, why] of [
  ['', 'does not begin'],
  ['hello', 'does not begin'],
  ['mlt2.a.b.c.d.e', 'does not begin'],
  ['mlt1.a', '2 parts'],
  [TEXT.replace('rack-7', 'Rack_7'), 'rack is no name'],
  [`${TEXT}${'x'.repeat(300)}`, 'characters'],
] as const) {
  test(`parseToken of ${JSON.stringify(text.slice(0, 24))} says ${why}`, () => {
    assert.throws(() => parseToken(text), new RegExp(why))
  })
}

for (const [address, host, port] of [
  ['gw.example', 'gw.example', 8775],
  ['gw.example:99', 'gw.example', 99],
  ['192.0.2.1', '192.0.2.1', 8775],
  ['[2001:db8::1]', '2001:db8::1', 8775],
  ['[2001:db8::1]:99', '2001:db8::1', 99],
  ['[fe80::1%eth0]:99', 'fe80::1%eth0', 99],
] as const) {
  test(`parseInvitation finds ${host} port ${port} in TOKEN@${address}`, () => {
    assert.deepEqual(parseInvitation(`${TEXT}@${address}`), { token: TOKEN, host, port })
  })
}

for (const address of ['', '2001:db8::1', 'a:0', 'a:65536', 'a:b', '[::1', 'a b', 'a/b']) {
  test(`parseInvitation refuses the address ${JSON.stringify(address)}`, () => {
    assert.throws(() => parseInvitation(`${TEXT}@${address}`), { code: 'BadArgument' })
  })
}

test('sameSecret knows the secret of a hash and no other', () => {
  const hash = hashSecret(TOKEN.secret)
  assert.ok(sameSecret(TOKEN.secret, hash))
  assert.ok(!sameSecret(newTokenSecret(), hash))
  assert.ok(!sameSecret(TOKEN.secret, ''))
  assert.ok(!sameSecret('', hash))
})
