// What EC2 calls the algorithms of VPN tunnels, and strongSwan's words for them
// (docs.strongswan.org, "Algorithm Proposals").

import type { VpnTunnelOptions } from '../store/vpn-records.ts'

type Names = Pick<
  VpnTunnelOptions,
  | 'phase1EncryptionAlgorithms'
  | 'phase1IntegrityAlgorithms'
  | 'phase1DhGroupNumbers'
  | 'phase2EncryptionAlgorithms'
  | 'phase2IntegrityAlgorithms'
  | 'phase2DhGroupNumbers'
>

/** Of one kind each, those first that are taken when both ends have several. */
const AEADS = new Map([
  ['AES256-GCM-16', 'aes256gcm16'],
  ['AES128-GCM-16', 'aes128gcm16'],
])
const CIPHERS = new Map([
  ['AES256', 'aes256'],
  ['AES128', 'aes128'],
])
const HASHES = new Map([
  ['SHA2-384', 'sha384'],
  ['SHA2-256', 'sha256'],
  ['SHA2-512', 'sha512'],
  ['SHA1', 'sha1'],
])
/** Curves before large primes, which take long; those below 2048 bits last (RFC 8247, 2.4). */
const PHASE_1_GROUPS = new Map([
  [20, 'ecp384'],
  [19, 'ecp256'],
  [21, 'ecp521'],
  [15, 'modp3072'],
  [16, 'modp4096'],
  [14, 'modp2048'],
  [17, 'modp6144'],
  [18, 'modp8192'],
  [24, 'modp2048s256'],
  [23, 'modp2048s224'],
  [22, 'modp1024s160'],
  [2, 'modp1024'],
])
const PHASE_2_GROUPS = new Map([...PHASE_1_GROUPS, [5, 'modp1536']])

const ENCRYPTION = new Map([...AEADS, ...CIPHERS])

export const ENCRYPTION_ALGORITHMS: readonly string[] = [...ENCRYPTION.keys()]
export const INTEGRITY_ALGORITHMS: readonly string[] = [...HASHES.keys()]
export const PHASE_1_DH_GROUPS: readonly number[] = [...PHASE_1_GROUPS.keys()]
export const PHASE_2_DH_GROUPS: readonly number[] = [...PHASE_2_GROUPS.keys()]

/**
 * The proposals for IKE, the best first. An empty list of the options stands for all of its kind,
 * as with EC2. One proposal has authenticated ciphers or others, never both (RFC 7296, 3.3).
 */
export function ikeProposals(options: Names): string[] {
  const {
    phase1EncryptionAlgorithms: ciphers,
    phase1IntegrityAlgorithms: integrity,
    phase1DhGroupNumbers: numbers,
  } = options
  const hashes = words(HASHES, integrity)
  const groups = words(PHASE_1_GROUPS, numbers)
  const functions = hashes.map((hash) => `prf${hash}`)
  return [
    proposal(words(AEADS, ciphers), functions, groups),
    proposal(words(CIPHERS, ciphers), [...hashes, ...functions], groups),
  ].flat()
}

/** The same for ESP; a group is what keys get when they are renewed. */
export function espProposals(options: Names): string[] {
  const {
    phase2EncryptionAlgorithms: ciphers,
    phase2IntegrityAlgorithms: hashes,
    phase2DhGroupNumbers: numbers,
  } = options
  const groups = words(PHASE_2_GROUPS, numbers)
  return [
    proposal(words(AEADS, ciphers), [], groups),
    proposal(words(CIPHERS, ciphers), words(HASHES, hashes), groups),
  ].flat()
}

/** One algorithm of each kind, in EC2's names: what a device is to ask for, and is given. */
export function bestAlgorithms(options: Names): Names {
  return {
    phase1EncryptionAlgorithms: first(options.phase1EncryptionAlgorithms, ENCRYPTION),
    phase1IntegrityAlgorithms: first(options.phase1IntegrityAlgorithms, HASHES),
    phase1DhGroupNumbers: first(options.phase1DhGroupNumbers, PHASE_1_GROUPS),
    phase2EncryptionAlgorithms: first(options.phase2EncryptionAlgorithms, ENCRYPTION),
    phase2IntegrityAlgorithms: first(options.phase2IntegrityAlgorithms, HASHES),
    phase2DhGroupNumbers: first(options.phase2DhGroupNumbers, PHASE_2_GROUPS),
  }
}

function first<T>(list: readonly T[], all: ReadonlyMap<T, string>): T[] {
  return [...all.keys()].filter((name) => list.length === 0 || list.includes(name)).slice(0, 1)
}

/** In the order of `all`. */
function words<T>(all: ReadonlyMap<T, string>, names: readonly T[]): string[] {
  return [...all].filter(([name]) => names.length === 0 || names.includes(name)).map(([, w]) => w)
}

function proposal(
  ciphers: readonly string[],
  hashes: readonly string[],
  groups: readonly string[],
): string[] {
  return ciphers.length === 0 ? [] : [[...ciphers, ...hashes, ...groups].join('-')]
}
