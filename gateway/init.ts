// Makes a cloud: its CA, master key, number plan, first account and access key. Once.

import { mkdir } from 'node:fs/promises'
import type { Clock, RandomHex } from '../common/clock.ts'
import { readIfThere, writeDurably } from '../common/durable-file.ts'
import { MalleeError } from '../common/errors.ts'
import { isName } from '../common/identity.ts'
import { createCa } from '../common/pki.ts'
import { type Cidr, formatCidr, overlaps, parseCidr } from '../topology/cidr.ts'
import { fabricPrefix, ipv6Pool } from '../topology/plan.ts'
import { DEFAULT_VPC_LENGTH } from '../topology/ranges.ts'
import { putAccount } from './accounts.ts'
import { ensureDefaultNetworks } from './ec2/networks.ts'
import { filesOf } from './files.ts'
import type { Sealer } from './secrets.ts'
import type { State } from './store/state.ts'

export interface InitRequest {
  readonly name: string
  readonly region: string
  readonly ipv4Pools: readonly string[]
  readonly vlanScope?: 'cloud' | 'rack'
}

export interface InitAnswer {
  readonly cloud: string
  readonly region: string
  readonly account: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const FIRST_ACCOUNT = 'admin'

/** Throws BadArgument for names and pools that do not fit. */
export function checkInit({ name, region, ipv4Pools }: InitRequest): void {
  if (!isName(name)) throw bad('name', name, 'lower-case letters, digits and inner hyphens')
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(region) || region.length > 32) {
    throw bad('region', region, 'like mallee-1, at most 32 characters')
  }
  const pools: Cidr[] = []
  for (const pool of ipv4Pools) {
    const cidr = parseCidr(pool)
    if (!cidr.ok || cidr.value.family !== 4 || cidr.value.length > DEFAULT_VPC_LENGTH) {
      throw bad('IPv4 pool', pool, 'an IPv4 prefix of /20 or more addresses, like 10.0.0.0/8')
    }
    const other = pools.find((one) => overlaps(one, cidr.value))
    if (other !== undefined) {
      throw bad('IPv4 pool', pool, `no overlap with the pool ${formatCidr(other)}`)
    }
    pools.push(cidr.value)
  }
}

/**
 * The files of a new gateway. Those of an earlier try stay as they are: whether there is a cloud
 * already is for the store to say.
 */
export async function initFiles(
  { clock }: { clock: Clock },
  stateDir: string,
  cloud: string,
): Promise<void> {
  const files = filesOf(stateDir)
  await mkdir(files.blobs, { recursive: true, mode: 0o700 })
  if ((await readIfThere(files.caKey)) !== null) return
  const ca = await createCa({ cloud, nowMs: clock.nowMs() })
  await writeDurably(files.caCertificate, ca.certificatePem)
  await writeDurably(files.caKey, ca.keyPem)
}

/**
 * The cloud's record, first account and its key, in one transaction; then its default VPC. Throws
 * Conflict when the store holds a cloud.
 */
export async function initState(
  {
    state,
    sealer,
    clock,
    randomHex,
  }: { state: State; sealer: Sealer; clock: Clock; randomHex: RandomHex },
  request: InitRequest,
): Promise<InitAnswer> {
  const nowMs = clock.nowMs()
  const key = await state.update(async (tx) => {
    if ((await tx.get('cloud', 'self')) !== null) {
      throw new MalleeError('Conflict', 'the store holds a cloud already, nothing was changed')
    }
    await tx.put('cloud', ['self'], {
      name: request.name,
      region: request.region,
      fabricPrefix: formatCidr(fabricPrefix(randomHex(5))),
      ipv6Pool: formatCidr(ipv6Pool(randomHex(4))),
      ipv4Pools: request.ipv4Pools,
      vlanScope: request.vlanScope ?? 'cloud',
      createdAtMs: nowMs,
    })
    return putAccount(tx, { sealer, clock, randomHex }, FIRST_ACCOUNT)
  })
  // What a block is taken from is read from the cloud's record as it stands in the store. Who dies
  // here has a cloud whose gateway makes the VPC as it starts.
  await state.update((tx) => ensureDefaultNetworks(tx, state, key.account, { nowMs, randomHex }))
  return { cloud: request.name, region: request.region, ...key }
}

function bad(what: string, value: string, fits: string): MalleeError {
  return new MalleeError('BadArgument', `${what} ${JSON.stringify(value)} does not fit: ${fits}`)
}
