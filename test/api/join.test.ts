// Hosts that may not join, over the network with real tokens: refused with the reason, and nothing
// of them is in the cloud afterwards.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { connect } from 'node:tls'
import { systemClock } from '../../common/clock.ts'
import { newKey } from '../../common/pki.ts'
import { parseInvitation, parseToken } from '../../common/token.ts'
import { check, fetchPinnedCa, type JoinFields, join } from '../../proto/membership-client.ts'
import { line } from '../proto/cloud.ts'
import { startCloud } from '../support/cloud.ts'
import { addHost, connected, joinFields, newToken } from '../support/simulated-rack.ts'

const cloud = await startCloud({ after })
const cc = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc'] })
await connected(cloud, [cc])
const caPem = cc.identity.caPem
const gateway = { host: '127.0.0.1', port: cloud.config.joinPort, caPem, clock: systemClock }
const { keyPem } = await newKey()

/** What a node of rack a would send, with a new token. */
async function nodeFields(change: Partial<JoinFields> = {}): Promise<JoinFields> {
  const token = await newToken(cloud, 'a', ['nc'])
  return { ...(await joinFields(token, { host: 'a-new', roles: ['nc'], keyPem })), ...change }
}

async function hosts(): Promise<string[]> {
  const { racks } = await cloud.status()
  return racks.flatMap((rack) => rack.hosts.map((one) => `${rack.name}/${one.host}`)).sort()
}

for (const [what, code, fields] of [
  ['with a token for another rack', 'TokenWrongRack', () => nodeFields({ rack: 'b' })],
  [
    'in a role that its token does not cover',
    'TokenWrongRole',
    () => nodeFields({ roles: ['sc'] }),
  ],
  ['with a wrong secret', 'TokenUnknown', () => nodeFields({ tokenSecret: 'x'.repeat(43) })],
  ['with an unknown token', 'TokenUnknown', () => nodeFields({ tokenId: '0123456789abcdef' })],
  ['whose clock is ten minutes behind', 'ClockSkew', () => nodeFields({ clockMs: minutes(-10) })],
  ['whose clock is ten minutes ahead', 'ClockSkew', () => nodeFields({ clockMs: minutes(10) })],
] as const) {
  test(`a host ${what} is refused with ${code}, by join and by check`, async () => {
    const request = await fields()
    await assert.rejects(join(gateway, request), { code })
    assert.equal((await check(gateway, request)).refusalCode, code)
    assert.deepEqual(await hosts(), ['a/a-cc'])
  })
}

test('a CC passes refusals on as they are', async () => {
  const relay = { ...gateway, port: cc.config.joinPort }
  const request = await nodeFields({ rack: 'b' })
  await assert.rejects(join(relay, request), { code: 'TokenWrongRack' })
})

test('a second CC for a rack of the same name is refused', async () => {
  const token = await newToken(cloud, 'a', ['cc'])
  const fields = await joinFields(token, { host: 'another', roles: ['cc'], keyPem })
  await assert.rejects(join(gateway, fields), { code: 'NameTaken' })
  assert.deepEqual(await hosts(), ['a/a-cc'])
})

test('a node cannot join a rack that has no CC', async () => {
  const token = await newToken(cloud, 'z', ['nc'])
  const fields = await joinFields(token, { host: 'z-nc', roles: ['nc'], keyPem })
  await assert.rejects(join(gateway, fields), { code: 'RackNotFound' })
  assert.equal((await cloud.status()).racks.length, 1)
})

test('a token works once: again for the same key, not for another one', async () => {
  const token = await newToken(cloud, 'a', ['nc'])
  const mine = await joinFields(token, { host: 'a-once', roles: ['nc'], keyPem })
  const first = await join(gateway, mine)
  const second = await join(gateway, mine)
  assert.equal(second.hostIndex, first.hostIndex)
  const thief = await newKey()
  const fields = await joinFields(token, { host: 'a-two', roles: ['nc'], keyPem: thief.keyPem })
  await assert.rejects(join(gateway, fields), { code: 'TokenUsed' })
  assert.deepEqual(await hosts(), ['a/a-cc', 'a/a-once'])
})

test('a token is refused when its time is over', async () => {
  const request = await nodeFields()
  await cloud.stop()
  await cloud.withState((state) =>
    state.update(async (tx) => {
      const record = await tx.get('token', request.tokenId ?? '')
      assert.ok(record)
      await tx.put('token', [record.id], { ...record, expiresAtMs: systemClock.nowMs() - 1 })
    }),
  )
  await cloud.start()
  await assert.rejects(join(gateway, request), { code: 'TokenExpired' })
})

test('a garbled token is refused before anything is sent', async () => {
  const token = await newToken(cloud, 'a', ['nc'])
  const changed = token.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  for (const text of [token.slice(0, -1), changed, token.replace('mlt1', 'mlt2'), '']) {
    assert.throws(() => parseInvitation(`${text}@127.0.0.1`), { code: 'TokenGarbled' })
  }
})

test('with a wrong CA digest nothing but a TLS handshake is sent', async () => {
  const token = parseToken(await newToken(cloud, 'a', ['nc']))
  const wrong = token.caDigest.replace(/^./, (first) => (first === '0' ? '1' : '0'))
  const sent = await sentBy(async (port) => {
    const refused = fetchPinnedCa('127.0.0.1', port, wrong)
    await assert.rejects(refused, { code: 'CaMismatch', message: /nothing was sent/ })
  })
  const bare = await sentBy(bareHandshake)
  // The secret alone has 43 characters.
  assert.ok(sent < bare + 32, `${sent} bytes, and a handshake has ${bare}`)
  assert.equal(await fetchPinnedCa('127.0.0.1', gateway.port, token.caDigest), caPem)
})

/** Bytes that a caller sends to the join port, and those of a handshake after it. */
async function sentBy(call: (port: number) => Promise<void>): Promise<number> {
  const watched = await line(() => cloud.config.joinPort)
  try {
    await call(watched.port)
    // When this one has ended, all of the caller's has arrived.
    await bareHandshake(watched.port)
    return watched.sent()
  } finally {
    await watched.close()
  }
}

async function bareHandshake(port: number): Promise<void> {
  const socket = connect({
    ...{ host: '127.0.0.1', port, minVersion: 'TLSv1.3', ALPNProtocols: ['h2'] },
    servername: 'mallee',
    // Nothing is sent over it.
    rejectUnauthorized: false,
  })
  await once(socket, 'secureConnect')
  socket.destroySoon()
  await once(socket, 'close')
}

function minutes(from: number): bigint {
  return BigInt(systemClock.nowMs() + from * 60_000)
}
