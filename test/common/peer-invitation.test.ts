// Invitations to another cloud as text: whatever was lost or changed on the way is found.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPeerInvitation, parsePeerInvitation } from '../../common/peer-invitation.ts'

const INVITATION = {
  cloud: 'east',
  id: '0123456789abcdef',
  secret: 'A'.repeat(43),
  caDigest: 'b'.repeat(64),
  places: [
    { host: '203.0.113.7', port: 8775 },
    { host: '2001:db8::7', port: 18_775 },
  ],
}
const TEXT = formatPeerInvitation(INVITATION)

test('an invitation is read as it was written', () => {
  assert.match(TEXT, /^mlp1\.east\..*@203\.0\.113\.7:8775,\[2001:db8::7\]:18775$/)
  assert.deepEqual(parsePeerInvitation(TEXT), INVITATION)
})

test('without a port it is the join port', () => {
  const { places } = parsePeerInvitation(TEXT.replace(/@.*/, '@gateway.example'))
  assert.deepEqual(places, [{ host: 'gateway.example', port: 8775 }])
})

for (const [what, text, message] of [
  ['a join token', TEXT.replace('mlp1', 'mlt1'), /does not begin with mlp1/],
  ['nothing after it', TEXT.replace(/@.*/, ''), /does not end with @HOST/],
  ['another cloud', TEXT.replace('east', 'west'), /checksum/],
  ['another secret', TEXT.replace('AAAA', 'AAAB'), /checksum/],
  ['a shorter secret', TEXT.replace('AAAA', 'AAA'), /secret is not 43/],
  ['an id in capitals', TEXT.replace('abcdef', 'ABCDEF'), /id is not 16 hex/],
  ['a digest that is cut', TEXT.replace('bbbb', ''), /CA digest is not 64/],
  ['a part less', TEXT.replace('.0123456789abcdef', ''), /5 parts where 6 belong/],
  ['a name that is none', TEXT.replace('east', 'EAST'), /cloud is no name/],
  ['too many places', `${TEXT},a,b,c`, /5 addresses/],
  ['no end', TEXT + 'a'.repeat(2_000), /characters/],
] as const) {
  test(`an invitation with ${what} is refused, and its secret not shown`, () => {
    assert.throws(() => parsePeerInvitation(text), { code: 'TokenGarbled', message })
    assert.throws(
      () => parsePeerInvitation(text),
      (error: Error) => !error.message.includes('AAAA'),
    )
  })
}

test('an address that is none is refused', () => {
  const text = TEXT.replace(/@.*/, '@a b')
  assert.throws(() => parsePeerInvitation(text), { code: 'BadArgument' })
})
