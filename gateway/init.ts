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
import { secretOfKey } from './access-keys.ts'
import { type NewKey, putAccount } from './accounts.ts'
import { ensureDefaultNetworks } from './ec2/networks.ts'
import { filesOf } from './files.ts'
import { DEFAULT_REGION, isRegion } from './region.ts'
import type { Sealer } from './secrets.ts'
import type { CloudRecord } from './store/records.ts'
import type { State, Transaction } from './store/state.ts'

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
  if (!isRegion(region))
    throw bad('region', region, `like ${DEFAULT_REGION}, at most 32 characters`)
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
 * The cloud's record, first account and its key, in one transaction; then its default VPC. The same
 * answer again, to the same wish, until `keyShown`: an init that died may not have shown the key.
 * Throws Conflict when the store holds another cloud, or one whose key was shown.
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
    const there = await tx.get('cloud', 'self')
    if (there !== null) return unshownKey(tx, sealer, there, request)
    const made = await putAccount(tx, { sealer, clock, randomHex }, FIRST_ACCOUNT)
    await tx.put('cloud', ['self'], {
      name: request.name,
      region: request.region,
      fabricPrefix: formatCidr(fabricPrefix(randomHex(5))),
      ipv6Pool: formatCidr(ipv6Pool(randomHex(4))),
      ipv4Pools: request.ipv4Pools,
      vlanScope: request.vlanScope ?? 'cloud',
      unshownKey: made.accessKeyId,
      createdAtMs: nowMs,
    })
    return made
  })
  // What a block is taken from is read from the cloud's record as it stands in the store. Who dies
  // here has a cloud whose gateway makes the VPC as it starts.
  await state.update((tx) => ensureDefaultNetworks(tx, state, key.account, { nowMs, randomHex }))
  return { cloud: request.name, region: request.region, ...key }
}

/** Somebody has seen the first key's secret: from now on nobody is shown it. */
export async function keyShown(state: State): Promise<void> {
  await state.update(async (tx) => {
    const cloud = await tx.get('cloud', 'self')
    if (cloud === null) return
    const { unshownKey: _, ...rest } = cloud
    await tx.put('cloud', ['self'], rest)
  })
}

/** Throws Conflict unless this is the init that died, run again. */
async function unshownKey(
  tx: Transaction,
  sealer: Sealer,
  { name, region, ipv4Pools, vlanScope = 'cloud', unshownKey: id }: CloudRecord,
  request: InitRequest,
): Promise<NewKey> {
  const key = id === undefined ? null : await tx.get('access-key', id)
  if (key === null) {
    throw new MalleeError('Conflict', 'the store holds a cloud already, nothing was changed')
  }
  const had = [name, region, ...ipv4Pools, vlanScope].join(' ')
  const { vlanScope: scope = 'cloud' } = request
  if (had !== [request.name, request.region, ...request.ipv4Pools, scope].join(' ')) {
    const sentence = `an init of the cloud ${name} died here before it showed its key: repeat that one (${had})`
    throw new MalleeError('Conflict', sentence)
  }
  return { account: key.account, accessKeyId: key.id, secretAccessKey: secretOfKey(sealer, key) }
}

function bad(what: string, value: string, fits: string): MalleeError {
  return new MalleeError('BadArgument', `${what} ${JSON.stringify(value)} does not fit: ${fits}`)
}
