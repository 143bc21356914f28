// The cloud that many simulated peers are connected with: its VPCs, its border, and peerings with
// as many blocks as a VPC may have.

import { create } from '@bufbuild/protobuf'
import { randomHex, systemClock } from '../common/clock.ts'
import { createCa } from '../common/pki.ts'
import { recordLinks } from '../gateway/federation/peer-reports.ts'
import { ensureOwnCloud } from '../gateway/peering/cloud-card.ts'
import { PeerLinkStatusSchema } from '../proto/gen/mallee/v1/border_pb.js'
import type { Resource } from '../proto/gen/mallee/v1/desired_pb.js'
import { StatusSchema } from '../proto/gen/mallee/v1/observed_pb.js'
import { ACCOUNT, type Cloud } from '../test/gateway/ec2/support.ts'
import { gatewayIdentity } from '../test/gateway/peering/clouds.ts'
import { formatCidr, mustCidr, nthBlock } from '../topology/cidr.ts'
import type { Measured, SimulatedPeer } from './simulated-peers.ts'

/** Each with as many blocks of both families as a VPC may have: 50 prefixes of a peer. */
export const PEERINGS = 5
export const BLOCKS = 5
export const OWN_VPCS = 20
export const BORDER = { rack: 'a', host: 'a0' }
const POOL_4 = mustCidr('172.16.0.0/12')
const POOL_6 = mustCidr('fd50::/16')
const KEY_BYTES = 32

export interface Ground extends Measured {
  readonly cloud: Cloud
  readonly peers: readonly SimulatedPeer[]
  readonly vpcs: readonly string[]
  /** The desired state of the border's CC, as it is sent there. */
  readonly held: ReadonlyMap<string, Resource>
}

/** Who this cloud is for its peers, and where its gateway listens. */
export async function ownSide(cloud: Cloud): Promise<Measured> {
  const { state } = cloud
  const nowMs = systemClock.nowMs()
  const ca = await createCa({ cloud: 'test', nowMs })
  const identity = await gatewayIdentity(ca, 'test')
  const { uid } = await ensureOwnCloud(state, { cas: [ca.certificatePem], nowMs, randomHex })
  const endpoints = ['192.0.2.9:8776']
  await state.update(async (tx) => {
    await tx.put('peering-endpoint', endpoints, { endpoints, renewedAtMs: nowMs })
    for (const [id, value] of [
      ['vpcs', OWN_VPCS + 1],
      ['peerings-per-vpc', 125],
    ] as const) {
      await tx.put('quota', [ACCOUNT, id], { account: ACCOUNT, id, value })
    }
  })
  return { state, uid, identity, ca: ca.certificatePem }
}

/** The first is for the instances. */
export async function makeVpcs({ call }: Cloud): Promise<string[]> {
  const made: string[] = []
  for (let n = 0; n < OWN_VPCS; n += 1) {
    const { Vpc } = await call('CreateVpc', { CidrBlock: `10.${100 + n}.0.0/16` })
    made.push(Vpc?.VpcId ?? '')
  }
  return made
}

/** What the CC at the border says of its devices. */
export async function reportLinks({ state }: Measured): Promise<void> {
  const statuses = state
    .view()
    .all('peer')
    .map(({ number }) => {
      const publicKey = Buffer.alloc(KEY_BYTES, `own ${number} `).toString('base64')
      const value = create(PeerLinkStatusSchema, {
        ...{ number, host: BORDER.host, publicKey, endpoints: [`192.0.2.9:${52_000 + number}`] },
        borders: [{ rack: 'x', host: 'x1', handshakeAtMs: 60_000n }],
      })
      return create(StatusSchema, {
        key: `peer-link/${number}`,
        body: { case: 'peerLink', value },
      })
    })
  await recordLinks(state, BORDER, statuses)
}

/** The n-th peering, with the blocks of that number. */
export function ask({ peers, vpcs, ...to }: Ground, n: number, of: number): string {
  const id = `pcx-${hex(n)}`
  const numbers = Array.from({ length: BLOCKS }, (_, i) => of * BLOCKS + i)
  const blocks = [
    ...numbers.map((i) => block(POOL_4, 28, i)),
    ...numbers.map((i) => block(POOL_6, 56, i)),
  ]
  const vpc = vpcs[n % OWN_VPCS] ?? ''
  const wish = { id, vpc: `vpc-${hex(of)}`, blocks, to: { account: ACCOUNT, vpc } }
  peers[of % peers.length]?.ask(to, wish)
  return id
}

function block(pool: ReturnType<typeof mustCidr>, length: number, n: number): string {
  const found = nthBlock(pool, length, n)
  if (found === null) throw new RangeError(`there is no block ${n}`)
  return formatCidr(found)
}

export function hex(n: number): string {
  return n.toString(16).padStart(17, '0')
}
