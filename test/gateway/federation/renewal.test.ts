// Who gets a fresher certificate, on the real store.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import type { Identity } from '../../../common/identity.ts'
import { identityOfCertificate, keyFingerprint, notAfterMs } from '../../../common/pki.ts'
import { withoutHost } from '../../../gateway/control/departure.ts'
import { joinHost } from '../../../gateway/federation/membership.ts'
import { renewHost } from '../../../gateway/federation/renewal.ts'
import { RenewRequestSchema } from '../../../proto/gen/mallee/v1/membership_pb.js'
import { type Members, NOW_MS, openMembers, requests } from './members.ts'

const DAY_MS = 86_400_000
/** Each host joins with the key of its own number. */
const KEYS: Readonly<Record<string, number>> = { 'a-cc': 0, 'a-n1': 1, 'a-n2': 2, 'b-cc': 3 }

describe('renewHost', () => {
  let members: Members
  beforeEach(async () => {
    members = await openMembers()
    for (const [host, key] of Object.entries(KEYS)) {
      const roles = host.endsWith('cc') ? (['cc'] as const) : (['nc'] as const)
      const token = await members.mint({ rack: host.slice(0, 1), roles })
      await joinHost(members.parts, members.asking(token, host, key))
    }
    members.clock.set(NOW_MS + 300 * DAY_MS)
  })
  afterEach(() => members.close())

  const member = (host: string): Identity => ({
    kind: 'host',
    cloud: 'c1',
    rack: host.slice(0, 1),
    host,
    roles: host.endsWith('cc') ? ['cc'] : ['nc'],
  })

  const renew = (caller: Identity, host: string, key = KEYS[host] ?? 0) => {
    const certificateRequest = requests[key] ?? new Uint8Array()
    const request = create(RenewRequestSchema, { host, certificateRequest })
    return renewHost(members.parts, caller, request)
  }

  for (const caller of ['a-n1', 'a-cc']) {
    test(`gives the node a-n1 another year when ${caller} asks`, async () => {
      const revision = members.parts.state.view().revision
      const { certificatePem, caPem } = await renew(member(caller), 'a-n1')
      assert.deepEqual(identityOfCertificate(certificatePem), member('a-n1'))
      assert.equal(keyFingerprint(certificatePem), keyFingerprint(requests[1] ?? ''))
      assert.equal(notAfterMs(certificatePem), NOW_MS + (300 + 365) * DAY_MS)
      assert.equal(caPem, members.parts.ca.certificatePem)
      assert.equal((await members.parts.state.fresh()).revision, revision)
    })
  }

  test('gives the roles of the record, whatever the old certificate says', async () => {
    const caller = { ...member('a-n1'), roles: ['cc', 'nc'] } as Identity
    const { certificatePem } = await renew(caller, 'a-n1')
    assert.deepEqual(identityOfCertificate(certificatePem), member('a-n1'))
    await assert.rejects(renew(caller, 'a-n2'), { code: 'NotAllowed' })
  })

  for (const [what, caller, host, key, code] of [
    ['another node', member('a-n1'), 'a-n2', 2, 'NotAllowed'],
    ['the CC of another rack', member('b-cc'), 'a-n1', 1, 'HostNotFound'],
    ['a gateway', { kind: 'gateway', cloud: 'c1' }, 'a-n1', 1, 'NotAllowed'],
    ['a host of another cloud', { ...member('a-n1'), cloud: 'c2' }, 'a-n1', 1, 'NotAllowed'],
    ['a CC with a key of its own', member('a-cc'), 'a-n1', 0, 'NotAllowed'],
    ['a host with another key', member('a-n1'), 'a-n1', 9, 'NotAllowed'],
    ['a host with no request', member('a-n1'), 'a-n1', 99, 'BadMessage'],
  ] as const) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(renew(caller, host, key), { code })
    })
  }

  test('refuses a request that another key signed', async () => {
    const forged = Uint8Array.from(requests[1] ?? [])
    const last = forged.length - 1
    forged[last] = (forged[last] ?? 0) ^ 1
    const request = create(RenewRequestSchema, { host: 'a-n1', certificateRequest: forged })
    const asked = renewHost(members.parts, member('a-n1'), request)
    await assert.rejects(asked, { code: 'BadMessage' })
  })

  test('refuses a host that was taken out, and a CC that was, for its node', async () => {
    const { state } = members.parts
    const out = (host: string) => state.update((tx) => withoutHost(tx, state, 'a', host))
    await out('a-n2')
    await assert.rejects(renew(member('a-n2'), 'a-n2'), { code: 'HostNotFound' })
    await assert.rejects(renew(member('a-cc'), 'a-n2'), { code: 'HostNotFound' })
    await out('a-cc')
    await assert.rejects(renew(member('a-cc'), 'a-n1'), { code: 'HostNotFound' })
  })
})
