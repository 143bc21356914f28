// Who this cloud is for others, and whether what another says of itself can be.

import { create } from '@bufbuild/protobuf'
import { checkCa, MAX_CAS } from '../../common/ca-bundle.ts'
import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { isName } from '../../common/identity.ts'
import { notAfterMs } from '../../common/pki.ts'
import {
  type CaBundle,
  type CloudCard,
  CloudCardSchema,
} from '../../proto/gen/mallee/v1/peering_pb.js'
import { covers, mustCidr, parseCidr } from '../../topology/cidr.ts'
import { isRegion } from '../region.ts'
import type { CaBundleRecord, PeerCardRecord } from '../store/peer-records.ts'
import type { CloudRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { Kept } from './kept.ts'

const PROTOCOL = { min: 1, max: 1 }
const MAX_ENDPOINTS = 16
const MAX_ENDPOINT_CHARS = 80
const MAX_USED = 256
const UID = /^[0-9a-f]{32}$/
const ENDPOINT = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5})$/i

/** Another cloud's card, as far as it is about the cloud and not about the agreement. */
export type OtherCloud = Pick<PeerCardRecord, 'name' | 'region' | 'endpoints' | 'usedPrefixes'> & {
  readonly uid: string
  readonly ca: CaBundleRecord
}

/** This cloud with what it needs before it can have peers. */
export type OwnCloud = CloudRecord & { readonly uid: string; readonly caBundle: CaBundleRecord }

/**
 * Gives the cloud its uid, once, and its CA bundle a new sequence whenever a CA of `cas` (the one
 * in use first) is not in it yet. A CA stays in it until it has ended.
 */
export async function ensureOwnCloud(
  state: State,
  { cas, nowMs, randomHex }: { cas: readonly string[]; nowMs: number; randomHex: RandomHex },
): Promise<OwnCloud> {
  const uid = randomHex(16)
  return await state.update(async (tx) => {
    const cloud = await tx.get('cloud', 'self')
    if (cloud === null) throw new MalleeError('BadConfig', 'there is no cloud in the store')
    const before = cloud.caBundle?.certificates ?? []
    const kept = before.filter((pem) => !cas.includes(pem) && notAfterMs(pem) > nowMs)
    // The next one stays beside the present one when it has become that.
    const certificates = [...new Set([...cas, ...kept])].slice(0, MAX_CAS)
    const isSame = [...certificates].sort().join() === [...before].sort().join()
    const sequence = (cloud.caBundle?.sequence ?? 0) + (isSame ? 0 : 1)
    const caBundle = isSame && cloud.caBundle ? cloud.caBundle : { sequence, certificates }
    const own = { ...cloud, uid: cloud.uid ?? uid, caBundle }
    if (cloud.uid === undefined || !isSame) await tx.put('cloud', ['self'], own)
    return own
  })
}

const cards = new Kept<CloudRecord, CloudCard>()

/** Throws Conflict before `ensureOwnCloud`. */
export function ownCard(view: View): CloudCard {
  const cloud = view.get('cloud', 'self')
  if (cloud?.uid === undefined || cloud.caBundle === undefined) {
    throw new MalleeError('Conflict', 'this cloud has no identity for peers yet')
  }
  const { uid, caBundle } = cloud
  const lists = [view.all('peering-endpoint'), view.all('vpc'), view.all('host')]
  return cards.get(cloud, lists, () => cardNow(view, { ...cloud, uid, caBundle }))
}

function cardNow(view: View, cloud: OwnCloud): CloudCard {
  const { certificates, sequence } = cloud.caBundle
  const refreshBeforeMs = BigInt(Math.min(...certificates.map(notAfterMs)))
  return create(CloudCardSchema, {
    ...{ uid: cloud.uid, name: cloud.name, region: cloud.region },
    endpoints: ownEndpoints(view),
    ca: { sequence: BigInt(sequence), certificates: [...certificates], refreshBeforeMs },
    ...{ minProtocol: PROTOCOL.min, maxProtocol: PROTOCOL.max },
    usedPrefixes: usedPrefixes(view, cloud),
    borderCount: new Set(
      view.all('host').flatMap(({ roles, rack }) => (roles.includes('cc') ? [rack] : [])),
    ).size,
  })
}

/** Throws BadMessage for what no cloud says of itself, ProtocolMismatch for another age's. */
export function checkedCard(card: CloudCard | undefined): OtherCloud {
  if (card === undefined) throw new MalleeError('BadMessage', 'the card of the cloud is missing')
  const { uid, name, region, endpoints, usedPrefixes: used } = card
  if (card.minProtocol > PROTOCOL.max || card.maxProtocol < PROTOCOL.min) {
    const theirs = `${card.minProtocol} to ${card.maxProtocol}`
    const sentence = `the other cloud speaks versions ${theirs} of the peering protocol, this one ${PROTOCOL.min} to ${PROTOCOL.max}`
    throw new MalleeError('ProtocolMismatch', sentence)
  }
  if (!UID.test(uid)) throw bad('uid', uid)
  if (!isName(name)) throw bad('name', name)
  if (!isRegion(region)) throw bad('region', region)
  if (endpoints.length === 0 || endpoints.length > MAX_ENDPOINTS) {
    throw bad('number of endpoints', String(endpoints.length))
  }
  for (const one of endpoints) if (!isEndpoint(one)) throw bad('endpoint', one)
  if (used.length > MAX_USED) throw bad('number of prefixes', String(used.length))
  for (const one of used) if (!parseCidr(one).ok) throw bad('prefix', one)
  return { uid, name, region, endpoints, usedPrefixes: used, ca: checkedBundle(card.ca) }
}

/** host:port or [host]:port. */
export function isEndpoint(text: string): boolean {
  const port = Number(ENDPOINT.exec(text)?.[1] ?? 0)
  return text.length <= MAX_ENDPOINT_CHARS && port >= 1 && port <= 65_535
}

/** Those of all gateways that listen, each once. */
function ownEndpoints(view: View): string[] {
  const all = view.all('peering-endpoint').flatMap(({ endpoints }) => endpoints)
  return [...new Set(all)].slice(0, MAX_ENDPOINTS)
}

/** The cloud's own, its pools, and blocks of VPCs outside of these: without who has them. */
function usedPrefixes(view: View, { fabricPrefix, ipv6Pool, ipv4Pools }: CloudRecord): string[] {
  const whole = [fabricPrefix, ipv6Pool, ...ipv4Pools]
  const wide = whole.map(mustCidr)
  const blocks = view.all('vpc').flatMap(({ ipv4Cidrs, ipv6Cidrs }) => [...ipv4Cidrs, ...ipv6Cidrs])
  const others = blocks.filter((one) => !wide.some((outer) => covers(outer, mustCidr(one))))
  return [...new Set([...whole, ...others.sort()])].slice(0, MAX_USED)
}

function checkedBundle(ca: CaBundle | undefined): CaBundleRecord {
  const { sequence = 0n, certificates = [] } = ca ?? {}
  if (certificates.length === 0 || certificates.length > MAX_CAS) {
    throw bad('number of CAs', String(certificates.length))
  }
  if (sequence < 1n || sequence > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw bad('sequence of its CAs', String(sequence))
  }
  for (const one of certificates) checkCa(one)
  return { sequence: Number(sequence), certificates: [...certificates] }
}

function bad(what: string, value: string): MalleeError {
  const said = JSON.stringify(value.slice(0, 80))
  return new MalleeError('BadMessage', `the ${what} of the other cloud cannot be: ${said}`)
}
