// The placement group that a launch names, by name or by id, and the partition in it.

import { createHash } from 'node:crypto'
import type { Placement } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { PlacementGroupRecord } from '../store/compute-records.ts'
import type { Transaction } from '../store/state.ts'
import { oneInStore } from './ids.ts'
import { badValue } from './input.ts'
import { keepFromRemoval } from './removal.ts'

export interface GroupWish {
  /** One of the two. */
  readonly id: string | null
  readonly name: string | null
  readonly partition: number | null
}

const HOST_ID = /^h-(?:[0-9a-f]{8}|[0-9a-f]{17})$/

/** null: no group is asked for. Throws for what does not go together, and for dedicated hosts. */
export function parseGroupWish({
  GroupName,
  GroupId,
  PartitionNumber: partition,
  HostId: host = '',
}: Placement): GroupWish | null {
  if (host !== '') throw unknownHost(host)
  const name = GroupName === '' ? undefined : GroupName
  const id = GroupId === '' ? undefined : GroupId
  if (name !== undefined && id !== undefined) {
    const text = 'The request names a placement group by both its ID and its name; use one of them'
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (name === undefined && id === undefined) {
    if (partition === undefined) return null
    const text = 'The parameter PartitionNumber is of use only with a partition placement group'
    throw new ApiError('InvalidParameterCombination', text)
  }
  return { id: id ?? null, name: name ?? null, partition: partition ?? null }
}

/** The group as a condition of the transaction. Throws InvalidPlacementGroup.Unknown. */
export async function groupFor(
  tx: Transaction,
  account: string,
  wish: GroupWish | null,
): Promise<{ record: PlacementGroupRecord; partition: number | null } | null> {
  if (wish === null) return null
  const { id, name, partition } = wish
  const record =
    id === null
      ? await groupNamed(tx, account, name ?? '')
      : await oneInStore(tx, 'placement-group', id, account)
  await keepFromRemoval(tx, 'placement-group', [record.id])
  if (partition === null) return { record, partition }
  if (record.strategy !== 'partition') {
    const text = `The placement group '${record.name}' is a ${record.strategy} group: no partitions`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (!(partition >= 1 && partition <= record.partitions)) {
    const why = `The placement group '${record.name}' has the partitions 1 to ${record.partitions}.`
    throw badValue('partitionNumber', partition, why)
  }
  return { record, partition }
}

/** Throws InvalidPlacementGroup.Unknown. */
export async function groupNamed(
  tx: Transaction,
  account: string,
  name: string,
): Promise<PlacementGroupRecord> {
  const holder = (await tx.get('name', ...groupNameKey(account, name)))?.holder
  const record = holder === undefined ? null : await tx.get('placement-group', holder)
  if (record === null) throw unknownGroup(name)
  return record
}

export function unknownGroup(name: string): ApiError {
  const text = `The placement group '${name.slice(0, 255)}' is unknown.`
  return new ApiError('InvalidPlacementGroup.Unknown', text)
}

/** A name may have a slash: its digest is the key. */
export function groupNameKey(account: string, name: string): [string, string, string] {
  return ['placement-group', account, createHash('sha256').update(name).digest('hex')]
}

/** Nobody has a host to himself here, so no id is one's. */
function unknownHost(id: string): ApiError {
  return HOST_ID.test(id)
    ? new ApiError('InvalidHostID.NotFound', `The host ID '${id}' does not exist`)
    : new ApiError('InvalidHostID.Malformed', `Invalid id: "${id}" (expecting "h-...")`)
}
