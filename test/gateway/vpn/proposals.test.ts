// EC2's names of algorithms in strongSwan's words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bestAlgorithms,
  ENCRYPTION_ALGORITHMS,
  espProposals,
  INTEGRITY_ALGORITHMS,
  ikeProposals,
  PHASE_1_DH_GROUPS,
  PHASE_2_DH_GROUPS,
} from '../../../gateway/vpn/proposals.ts'

const ALL = {
  phase1EncryptionAlgorithms: [],
  phase1IntegrityAlgorithms: [],
  phase1DhGroupNumbers: [],
  phase2EncryptionAlgorithms: [],
  phase2IntegrityAlgorithms: [],
  phase2DhGroupNumbers: [],
}
type Names = Parameters<typeof ikeProposals>[0]
const best = (options: Names) => {
  const names = bestAlgorithms(options)
  return { ike: ikeProposals(names), esp: espProposals(names) }
}
const GROUPS =
  'ecp384-ecp256-ecp521-modp3072-modp4096-modp2048-modp6144-modp8192' +
  '-modp2048s256-modp2048s224-modp1024s160-modp1024'

test('proposals of a tunnel without wishes have all that EC2 has, the best first', () => {
  assert.deepEqual(ikeProposals(ALL), [
    `aes256gcm16-aes128gcm16-prfsha384-prfsha256-prfsha512-prfsha1-${GROUPS}`,
    `aes256-aes128-sha384-sha256-sha512-sha1-prfsha384-prfsha256-prfsha512-prfsha1-${GROUPS}`,
  ])
  assert.deepEqual(espProposals(ALL), [
    `aes256gcm16-aes128gcm16-${GROUPS}-modp1536`,
    `aes256-aes128-sha384-sha256-sha512-sha1-${GROUPS}-modp1536`,
  ])
  assert.deepEqual(best(ALL), {
    ike: ['aes256gcm16-prfsha384-ecp384'],
    esp: ['aes256gcm16-ecp384'],
  })
})

test('proposals have nothing but what a tunnel allows, whatever the order that it is said in', () => {
  const some = {
    ...ALL,
    phase1EncryptionAlgorithms: ['AES128', 'AES256'],
    phase1IntegrityAlgorithms: ['SHA1', 'SHA2-256'],
    phase1DhGroupNumbers: [2, 14],
    phase2EncryptionAlgorithms: ['AES128-GCM-16'],
    phase2IntegrityAlgorithms: ['SHA2-512'],
    phase2DhGroupNumbers: [5],
  }
  assert.deepEqual(ikeProposals(some), [
    'aes256-aes128-sha256-sha1-prfsha256-prfsha1-modp2048-modp1024',
  ])
  assert.deepEqual(espProposals(some), ['aes128gcm16-modp1536'])
  assert.deepEqual(best(some), {
    ike: ['aes256-sha256-prfsha256-modp2048'],
    esp: ['aes128gcm16-modp1536'],
  })
})

test('the names are all that the API reference of EC2 has', () => {
  assert.deepEqual(ENCRYPTION_ALGORITHMS.toSorted(), [
    'AES128',
    'AES128-GCM-16',
    'AES256',
    'AES256-GCM-16',
  ])
  assert.deepEqual(INTEGRITY_ALGORITHMS.toSorted(), ['SHA1', 'SHA2-256', 'SHA2-384', 'SHA2-512'])
  const numbers = [2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
  const ascending = (a: number, b: number): number => a - b
  assert.deepEqual(PHASE_1_DH_GROUPS.toSorted(ascending), numbers)
  assert.deepEqual(PHASE_2_DH_GROUPS.toSorted(ascending), [2, 5, ...numbers.slice(1)])
})
