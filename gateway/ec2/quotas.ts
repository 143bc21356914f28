// What an account may have: quotas by their names in Service Quotas, what they are when nobody set
// them, and how a request is held to them.

import { ApiError } from '../aws/api-error.ts'
import type { State, Transaction, View } from '../store/state.ts'
import type { InstanceTypeSpec } from './instance-types.ts'
import { type Quota, TABLE, vcpusOf } from './quota-table.ts'

export type QuotaId = keyof typeof TABLE
export const QUOTAS: Readonly<Record<QuotaId, Quota>> = TABLE
export const QUOTA_IDS = Object.keys(TABLE) as QuotaId[]
type AccountQuota = {
  [K in QuotaId]: (typeof TABLE)[K]['used'] extends null ? never : K
}[QuotaId]

/** How much of it the account may have, as the mirror shows it. */
export function quotaOf(view: View, account: string, id: QuotaId): number {
  return view.get('quota', account, id)?.value ?? QUOTAS[id].value
}

/**
 * Throws the quota's own code when the account has as many as it may. Of what the operator set two
 * requests at once cannot both take the last one.
 */
export async function checkQuota(
  tx: Transaction,
  state: State,
  account: string,
  id: AccountQuota,
): Promise<void> {
  const most = await quotaIn(tx, account, id)
  const have = TABLE[id].used(await state.fresh(), account)
  refusePast(id, 'The account', have, most)
}

/** The same of `wanted` more at once, when the transaction has `made` some before. */
export async function checkQuotaFor(
  tx: Transaction,
  state: State,
  account: string,
  id: AccountQuota,
  { made, wanted }: { readonly made: number; readonly wanted: number },
): Promise<void> {
  const most = await quotaIn(tx, account, id)
  const have = TABLE[id].used(await state.fresh(), account) + made
  if (have + wanted <= most) return
  const { code, things } = QUOTAS[id]
  const text = `The account has ${have} ${things} and asks for ${wanted} more`
  throw new ApiError(code, `${text}; at most ${most} are allowed.`)
}

/** The same of what each VPC has its own count of; who adds to that VPC holds it (holdVpc). */
export async function checkQuotaOf(
  tx: Transaction,
  { account, id: of }: { readonly account: string; readonly id: string },
  id: Exclude<QuotaId, AccountQuota>,
  have: number,
): Promise<void> {
  const { per = 'VPC' } = QUOTAS[id]
  refusePast(id, `The ${per} ${of}`, have, await quotaIn(tx, account, id))
}

/**
 * How many of `wanted` instances of a type the account may still start, at least `least`. Throws
 * VcpuLimitExceeded, of spot instances MaxSpotInstanceCountExceeded.
 */
export async function instancesAllowed(
  tx: Transaction,
  state: State,
  account: string,
  { type, isSpot, least, wanted }: InstancesAsked,
): Promise<number> {
  const id = isSpot ? 'spot-vcpus' : 'vcpus'
  const most = await quotaIn(tx, account, id)
  const used = vcpusOf(await state.fresh(), account, isSpot)
  const room = Math.max(0, Math.floor((most - used) / type.vcpus))
  if (room >= least) return Math.min(wanted, room)
  throw noVcpus(id, most, used, least * type.vcpus)
}

interface InstancesAsked {
  readonly type: Pick<InstanceTypeSpec, 'vcpus'>
  readonly isSpot: boolean
  readonly least: number
  readonly wanted: number
}

/** May instances that are stopped start, which take that many vCPUs? Throws like the above. */
export async function checkVcpus(
  tx: Transaction,
  state: State,
  account: string,
  { needed, isSpot }: { readonly needed: number; readonly isSpot: boolean },
): Promise<void> {
  if (needed === 0) return
  const id = isSpot ? 'spot-vcpus' : 'vcpus'
  const most = await quotaIn(tx, account, id)
  const used = vcpusOf(await state.fresh(), account, isSpot)
  if (used + needed > most) throw noVcpus(id, most, used, needed)
}

/**
 * What the store says. A quota that the operator set is written again: of two who take of it at
 * once, one is run again and sees what the other took. The mirror is to be asked after this.
 */
async function quotaIn(tx: Transaction, account: string, id: QuotaId): Promise<number> {
  const set = await tx.get('quota', account, id)
  if (set === null) return QUOTAS[id].value
  await tx.put('quota', [account, id], set)
  return set.value
}

function refusePast(id: QuotaId, whose: string, have: number, most: number): void {
  if (have < most) return
  const { code, things } = QUOTAS[id]
  throw new ApiError(code, `${whose} has ${have} ${things}; at most ${most} are allowed.`)
}

function noVcpus(id: QuotaId, most: number, used: number, needed: number): ApiError {
  const { code, name } = QUOTAS[id]
  const text =
    `You have requested more vCPU capacity than your current limit of ${most} allows: ` +
    `${used} are in use, and this request needs ${needed} (${name}).`
  return new ApiError(code, text)
}
