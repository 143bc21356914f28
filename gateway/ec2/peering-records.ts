// A peering belongs to two accounts: both may name it, nobody else knows of it.

import { ApiError } from '../aws/api-error.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { required } from './input.ts'

export const PEERING_PREFIX = 'pcx'

export function isParty({ requester, accepter }: PeeringRecord, account: string): boolean {
  return requester.account === account || accepter.account === account
}

/** Nobody has accepted it yet. */
export function isWaiting({ state }: Pick<PeeringRecord, 'state'>): boolean {
  return state === 'initiating-request' || state === 'pending-acceptance'
}

export async function peeringOf(
  tx: Transaction,
  id: string | undefined,
  account: string,
): Promise<PeeringRecord> {
  const asked = required('VpcPeeringConnectionId', id)
  checkForm(asked)
  const record = await tx.get('peering', asked)
  if (record === null || !isParty(record, account)) throw unknownPeerings([asked])
  return record
}

export function peeringsNamed(
  view: View,
  ids: readonly string[] | undefined,
  account: string,
): PeeringRecord[] {
  if (ids === undefined || ids.length === 0) {
    return view.all('peering').filter((one) => isParty(one, account))
  }
  for (const id of ids) checkForm(id)
  const found = [...new Set(ids)].map((id) => ({ id, record: view.get('peering', id) }))
  const there = found.flatMap(({ record }) =>
    record !== null && isParty(record, account) ? [record] : [],
  )
  const missing = found.filter(({ id }) => !there.some((one) => one.id === id))
  if (missing.length > 0) throw unknownPeerings(missing.map(({ id }) => id))
  return there
}

function checkForm(id: string): void {
  if (/^pcx-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(id)) return
  const text = `Invalid id: "${id}" (expecting "${PEERING_PREFIX}-...")`
  throw new ApiError('InvalidVpcPeeringConnectionId.Malformed', text)
}

function unknownPeerings(ids: readonly string[]): ApiError {
  const text = `The vpcPeeringConnection ID '${ids.join(', ')}' does not exist`
  return new ApiError('InvalidVpcPeeringConnectionID.NotFound', text)
}
