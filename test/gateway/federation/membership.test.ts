import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { randomHex } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import {
  caDigest,
  certificateRequest,
  createCa,
  identityOfCertificate,
  keyFingerprint,
  newKey,
} from '../../../common/pki.ts'
import { hashSecret, parseToken } from '../../../common/token.ts'
import {
  checkJoin,
  joinHost,
  mintToken,
  type TokenWish,
} from '../../../gateway/federation/membership.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import {
  CheckRequestSchema,
  type JoinRequest,
  JoinRequestSchema,
} from '../../../proto/gen/mallee/v1/membership_pb.js'
import { closeStates, handClock, stateOf } from '../store/states.ts'

const NOW_MS = Date.UTC(2026, 10, 23, 12)
const HOUR_MS = 3_600_000
const ca = await createCa({ cloud: 'c1', nowMs: NOW_MS })
const requests = await Promise.all(
  Array.from({ length: 12 }, async () => certificateRequest((await newKey()).keyPem)),
)

describe('membership', () => {
  const clock = handClock()
  let dir = ''
  let store: Store
  let state: State

  beforeEach(async () => {
    clock.set(NOW_MS)
    dir = mkdtempSync(join(tmpdir(), 'mallee-membership-'))
    store = await openSqlite({ file: join(dir, 'store.db'), log: silentLog })
    state = await stateOf(store)
    await state.update((tx) =>
      tx.put('cloud', ['self'], {
        name: 'c1',
        region: 'mallee-1',
        fabricPrefix: 'fd12:3456:789a::/48',
        ipv6Pool: 'fd77:7777:7700::/40',
        ipv4Pools: ['10.0.0.0/8'],
        createdAtMs: NOW_MS,
      }),
    )
  })
  afterEach(async () => {
    await closeStates()
    await store.close()
    rmSync(dir, { recursive: true })
  })

  const parts = () => ({ state, ca, clock, log: silentLog })
  const mint = (wish: Partial<TokenWish> = {}) =>
    mintToken(
      { state, clock, randomHex, caDigest: caDigest(ca.certificatePem) },
      { rack: 'a', roles: ['cc'], ttlMs: HOUR_MS, ...wish },
    )

  /** The request of host `host`, with key number `key`, for the token's rack and roles. */
  function asking(token: string, host: string, key = 0, over: object = {}): JoinRequest {
    const { rack, id, secret } = parseToken(token)
    return create(JoinRequestSchema, {
      minProtocol: 1,
      maxProtocol: 1,
      tokenId: id,
      tokenSecret: secret,
      rack,
      host,
      certificateRequest: requests[key] ?? new Uint8Array(),
      agentVersion: '1.0',
      clockMs: BigInt(clock.nowMs()),
      ...over,
    })
  }

  function members(): string[] {
    const hosts = state.view().all('host')
    return hosts.map(({ rack, host, index, roles }) => `${rack}/${host} ${index} ${roles.join()}`)
  }

  /** The refusal of both joinHost and checkJoin, which must agree; nothing is written. */
  async function refused(request: JoinRequest): Promise<{ code: string; message: string }> {
    const before = state.view().revision
    const answer = await checkJoin(parts(), create(CheckRequestSchema, { join: request }))
    let thrown: { code: string; message: string } | null = null
    try {
      await joinHost(parts(), request)
    } catch (error) {
      thrown = error as { code: string; message: string }
    }
    assert.ok(thrown !== null, 'it was accepted')
    assert.deepEqual([answer.refusalCode, answer.refusalMessage], [thrown.code, thrown.message])
    assert.equal((await state.fresh()).revision, before)
    return thrown
  }

  test('joinHost makes the first CC a rack, numbers and a certificate', async () => {
    const response = await joinHost(parts(), asking(await mint(), 'a-cc'))
    assert.deepEqual(identityOfCertificate(response.certificatePem), {
      kind: 'host',
      cloud: 'c1',
      rack: 'a',
      host: 'a-cc',
      roles: ['cc'],
    })
    const { rackIndex, hostIndex, fabricPrefix, region, protocol, caPem } = response
    assert.deepEqual(
      { rackIndex, hostIndex, fabricPrefix, region, protocol },
      {
        rackIndex: 1,
        hostIndex: 1,
        fabricPrefix: 'fd12:3456:789a:1::/64',
        region: 'mallee-1',
        protocol: 1,
      },
    )
    assert.equal(caPem, ca.certificatePem)
    assert.deepEqual(members(), ['a/a-cc 1 cc'])
    assert.equal(state.view().get('rack', 'a')?.state, 'joined')
  })

  test('joinHost gives each rack and each host of a rack the next number', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc', 0))
    await joinHost(parts(), asking(await mint({ roles: ['nc'] }), 'a-n1', 1))
    const b = await joinHost(parts(), asking(await mint({ rack: 'b' }), 'b-cc', 2))
    await joinHost(parts(), asking(await mint({ roles: ['nc', 'sc'] }), 'a-n2', 3))
    assert.equal(b.fabricPrefix, 'fd12:3456:789a:2::/64')
    assert.deepEqual(members(), ['a/a-cc 1 cc', 'a/a-n1 2 nc', 'a/a-n2 3 sc,nc', 'b/b-cc 1 cc'])
  })

  test('joinHost answers a repeated join with the same place and a fresh certificate', async () => {
    const token = await mint()
    const first = await joinHost(parts(), asking(token, 'a-cc'))
    clock.set(NOW_MS + HOUR_MS / 2)
    const again = await joinHost(parts(), asking(token, 'a-cc'))
    assert.deepEqual([again.rackIndex, again.hostIndex], [first.rackIndex, first.hostIndex])
    assert.equal(keyFingerprint(again.certificatePem), keyFingerprint(first.certificatePem))
    assert.deepEqual(members(), ['a/a-cc 1 cc'])
  })

  test('joinHost lets a host with its own key join again by another token', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc'))
    const token = await mint({ roles: ['cc', 'nc'] })
    await joinHost(parts(), asking(token, 'a-cc'))
    assert.deepEqual(members(), ['a/a-cc 1 cc,nc'])
  })

  test('a used token is refused to another key and to another name', async () => {
    const token = await mint({ roles: ['cc'], additional: true })
    await joinHost(parts(), asking(token, 'a-cc', 0))
    assert.equal((await refused(asking(token, 'a-2', 1))).code, 'TokenUsed')
    assert.equal((await refused(asking(token, 'a-2', 0))).code, 'TokenUsed')
  })

  test('a token that expired, is unknown, or of another rack or role is refused', async () => {
    const token = await mint()
    const secret = parseToken(await mint()).secret
    assert.equal(
      (await refused(asking(token, 'h', 0, { tokenSecret: secret }))).code,
      'TokenUnknown',
    )
    const id = '0000000000000000'
    assert.equal((await refused(asking(token, 'h', 0, { tokenId: id }))).code, 'TokenUnknown')
    assert.equal((await refused(asking(token, 'h', 0, { rack: 'b' }))).code, 'TokenWrongRack')
    const roles = ['cc', 'nc']
    assert.equal((await refused(asking(token, 'h', 0, { roles }))).code, 'TokenWrongRole')
    clock.set(NOW_MS + HOUR_MS)
    assert.equal((await refused(asking(token, 'h'))).code, 'TokenExpired')
    assert.deepEqual(members(), [])
  })

  test('a host gets the roles that it asks for out of its token', async () => {
    const token = await mint({ roles: ['cc', 'sc', 'nc'] })
    await joinHost(parts(), asking(token, 'a-1', 0, { roles: ['nc', 'cc'] }))
    assert.deepEqual(members(), ['a/a-1 1 cc,nc'])
  })

  test('a clock that is ten minutes off is refused with both clocks', async () => {
    const late = asking(await mint(), 'h', 0, { clockMs: BigInt(NOW_MS - 600_000) })
    const { code, message } = await refused(late)
    assert.equal(code, 'ClockSkew')
    assert.match(message, /2026-11-23T11:50:00.000Z, 600 s behind .*2026-11-23T12:00:00.000Z/)
    const near = asking(await mint(), 'h', 0, { clockMs: BigInt(NOW_MS + 299_000) })
    await joinHost(parts(), near)
    const absurd = asking(await mint(), 'h', 0, { clockMs: -(2n ** 63n) })
    assert.equal((await refused(absurd)).code, 'ClockSkew')
  })

  test('a second rack of one name is refused, unless its token is for an additional CC', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc', 0))
    const { code, message } = await refused(asking(await mint(), 'x-cc', 1))
    assert.deepEqual([code, message], ['NameTaken', 'there is a rack a already, with the CC a-cc'])
    await joinHost(parts(), asking(await mint({ additional: true }), 'x-cc', 1))
    assert.deepEqual(members(), ['a/a-cc 1 cc', 'a/x-cc 2 cc'])
  })

  test('of many first CCs of one rack at once, one joins', async () => {
    const tokens = await Promise.all(requests.map(() => mint()))
    const joins = tokens.map((token, i) => joinHost(parts(), asking(token, `cc-${i}`, i)))
    const settled = await Promise.allSettled(joins)
    assert.equal(settled.filter((one) => one.status === 'fulfilled').length, 1)
    for (const one of settled) {
      if (one.status === 'rejected') assert.equal(one.reason.code, 'NameTaken')
    }
    assert.equal(members().length, 1)
    assert.equal(state.view().all('rack').length, 1)
  })

  test('of many hosts with one token at once, one joins', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc', 0))
    const token = await mint({ roles: ['nc'] })
    const joins = requests.slice(1).map((_, i) => joinHost(parts(), asking(token, `n-${i}`, i + 1)))
    const settled = await Promise.allSettled(joins)
    assert.equal(settled.filter((one) => one.status === 'fulfilled').length, 1)
    assert.equal(members().length, 2)
  })

  test('a second host of one name with another key is refused', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc', 0))
    const twin = asking(await mint({ roles: ['nc'] }), 'a-cc', 1)
    assert.equal((await refused(twin)).code, 'NameTaken')
  })

  test('a node is refused before its rack has a CC', async () => {
    const { code, message } = await refused(asking(await mint({ roles: ['nc'] }), 'n1'))
    assert.deepEqual(
      [code, message],
      ['RackNotFound', 'there is no rack a yet, its CC joins first'],
    )
  })

  test('a request without proof of its key is refused and uses nothing up', async () => {
    const token = await mint()
    const forged = Uint8Array.from(requests[0] ?? [])
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const { code } = await refused(asking(token, 'h', 0, { certificateRequest: forged }))
    assert.equal(code, 'BadMessage')
    await joinHost(parts(), asking(token, 'h'))
  })

  test('an agent of another protocol is refused', async () => {
    const newer = asking(await mint(), 'h', 0, { minProtocol: 8, maxProtocol: 9 })
    assert.equal((await refused(newer)).code, 'ProtocolMismatch')
  })

  test('checkJoin accepts what joinHost would, and changes nothing', async () => {
    const request = asking(await mint(), 'a-cc')
    const before = state.view().revision
    const { refusalCode, cloud, region, clockMs } = await checkJoin(
      parts(),
      create(CheckRequestSchema, { join: request }),
    )
    assert.deepEqual([refusalCode, cloud, region, clockMs], ['', 'c1', 'mallee-1', BigInt(NOW_MS)])
    assert.equal((await state.fresh()).revision, before)
    await joinHost(parts(), request)
  })

  test('mintToken keeps no secret', async () => {
    const { id, secret } = parseToken(await mint())
    assert.equal(state.view().get('token', id)?.secretHash, hashSecret(secret))
    for (const file of ['store.db', 'store.db-wal']) {
      assert.ok(!readFileSync(join(dir, file)).includes(secret))
    }
  })

  for (const [what, wish] of [
    ['no name of a rack', { rack: 'A b' }],
    ['no role', { roles: [] }],
    ['no time to live', { ttlMs: 0 }],
    ['more than a week', { ttlMs: 8 * 24 * HOUR_MS }],
    ['a time that is no number', { ttlMs: Number.NaN }],
  ] as const) {
    test(`mintToken refuses ${what}`, async () => {
      await assert.rejects(mint(wish), { code: 'BadArgument' })
    })
  }
})
