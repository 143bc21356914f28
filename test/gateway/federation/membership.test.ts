// Joins on the real store: good tokens, bad ones, and what stays of either.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { identityOfCertificate, keyFingerprint } from '../../../common/pki.ts'
import { hashSecret, parseToken } from '../../../common/token.ts'
import { checkJoin, joinHost, type TokenWish } from '../../../gateway/federation/membership.ts'
import { CheckRequestSchema, type JoinRequest } from '../../../proto/gen/mallee/v1/membership_pb.js'
import { HOUR_MS, type Members, NOW_MS, openMembers, requests } from './members.ts'

describe('membership', () => {
  let members: Members
  beforeEach(async () => {
    members = await openMembers()
  })
  afterEach(() => members.close())

  // Short names for what every test says.
  const parts = () => members.parts
  const mint = (wish?: Partial<TokenWish>) => members.mint(wish)
  const asking: Members['asking'] = (...args) => members.asking(...args)
  const view = () => members.parts.state.view()

  /** The refusal of both joinHost and checkJoin, which must agree; nothing is written. */
  async function refused(request: JoinRequest): Promise<{ code: string; message: string }> {
    const before = view().revision
    const answer = await checkJoin(parts(), create(CheckRequestSchema, { join: request }))
    let thrown: { code: string; message: string } | null = null
    try {
      await joinHost(parts(), request)
    } catch (error) {
      thrown = error as { code: string; message: string }
    }
    assert.ok(thrown !== null, 'it was accepted')
    assert.equal(answer.refusalCode, thrown.code)
    assert.equal(answer.refusalMessage, thrown.message)
    assert.equal((await parts().state.fresh()).revision, before)
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
    assert.equal(caPem, parts().ca.certificatePem)
    assert.deepEqual(members.list(), ['a/a-cc 1 cc'])
    assert.equal(view().get('rack', 'a')?.state, 'joined')
  })

  test('joinHost gives each rack and each host of a rack the next number', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc', 0))
    await joinHost(parts(), asking(await mint({ roles: ['nc'] }), 'a-n1', 1))
    const b = await joinHost(parts(), asking(await mint({ rack: 'b' }), 'b-cc', 2))
    await joinHost(parts(), asking(await mint({ roles: ['nc', 'sc'] }), 'a-n2', 3))
    assert.equal(b.fabricPrefix, 'fd12:3456:789a:2::/64')
    assert.deepEqual(members.list(), [
      'a/a-cc 1 cc',
      'a/a-n1 2 nc',
      'a/a-n2 3 sc,nc',
      'b/b-cc 1 cc',
    ])
  })

  test('joinHost answers a repeated join with the same place and a fresh certificate', async () => {
    const token = await mint()
    const first = await joinHost(parts(), asking(token, 'a-cc'))
    members.clock.set(NOW_MS + HOUR_MS / 2)
    const again = await joinHost(parts(), asking(token, 'a-cc'))
    assert.deepEqual([again.rackIndex, again.hostIndex], [first.rackIndex, first.hostIndex])
    assert.equal(keyFingerprint(again.certificatePem), keyFingerprint(first.certificatePem))
    assert.deepEqual(members.list(), ['a/a-cc 1 cc'])
  })

  test('joinHost lets a host with its own key join again by another token', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc'))
    const token = await mint({ roles: ['cc', 'nc'] })
    await joinHost(parts(), asking(token, 'a-cc'))
    assert.deepEqual(members.list(), ['a/a-cc 1 cc,nc'])
  })

  test('joinHost leaves a cordoned host cordoned', async () => {
    await joinHost(parts(), asking(await mint(), 'a-cc'))
    const { state } = parts()
    await state.update(async (tx) => {
      const host = await tx.get('host', 'a', 'a-cc')
      assert.ok(host)
      await tx.put('host', ['a', 'a-cc'], { ...host, cordoned: true })
    })
    await joinHost(parts(), asking(await mint(), 'a-cc'))
    assert.equal((await state.fresh()).get('host', 'a', 'a-cc')?.cordoned, true)
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
    members.clock.set(NOW_MS + HOUR_MS)
    assert.equal((await refused(asking(token, 'h'))).code, 'TokenExpired')
    assert.deepEqual(members.list(), [])
  })

  test('a host gets the roles that it asks for out of its token', async () => {
    const token = await mint({ roles: ['cc', 'sc', 'nc'] })
    await joinHost(parts(), asking(token, 'a-1', 0, { roles: ['nc', 'cc'] }))
    assert.deepEqual(members.list(), ['a/a-1 1 cc,nc'])
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
    assert.deepEqual(members.list(), ['a/a-cc 1 cc', 'a/x-cc 2 cc'])
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
    const before = view().revision
    const { refusalCode, cloud, region, clockMs } = await checkJoin(
      parts(),
      create(CheckRequestSchema, { join: request }),
    )
    assert.deepEqual([refusalCode, cloud, region, clockMs], ['', 'c1', 'mallee-1', BigInt(NOW_MS)])
    assert.equal((await parts().state.fresh()).revision, before)
    await joinHost(parts(), request)
  })

  test('mintToken keeps no secret', async () => {
    const { id, secret } = parseToken(await mint())
    assert.equal(view().get('token', id)?.secretHash, hashSecret(secret))
    for (const file of ['store.db', 'store.db-wal']) {
      assert.ok(!readFileSync(join(members.dir, file)).includes(secret))
    }
  })

  for (const [what, wish] of [
    ['no name of a rack', { rack: 'A b' }],
    ['no role', { roles: [] }],
    ['more than a week', { ttlMs: 8 * 24 * HOUR_MS }],
    ['a time that is no number', { ttlMs: Number.NaN }],
  ] as const) {
    test(`mintToken refuses ${what}`, async () => {
      await assert.rejects(mint(wish), { code: 'BadArgument' })
    })
  }
})
