// DescribeSnapshots: what an account has, what is shared with it, what is public. And the tier of
// each, which is always the standard one.

import type { Snapshot, SnapshotTierStatus } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { absent, type Filterable, matching } from '../ec2/filters.ts'
import { isForAll, isVisible, namedInView } from '../ec2/ids.ts'
import { endDryRun, required, unsupported } from '../ec2/input.ts'
import { pageOf } from '../ec2/paging.ts'
import type { State, View } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { snapshotShown } from './snapshot-shape.ts'

type DescribeHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DescribeSnapshots'
    | 'DescribeSnapshotTierStatus'
    | 'ModifySnapshotTier'
    | 'RestoreSnapshotTier'
  >
>

const FILTERABLE: Filterable<Snapshot> = {
  fields: {
    ...absent('owner-alias'),
    description: (one) => one.Description,
    encrypted: (one) => one.Encrypted,
    'owner-id': (one) => one.OwnerId,
    progress: (one) => one.Progress,
    'snapshot-id': (one) => one.SnapshotId,
    'start-time': (one) => one.StartTime?.toISOString(),
    status: (one) => one.State,
    'storage-tier': (one) => one.StorageTier,
    'transfer-type': () => 'standard',
    'volume-id': (one) => one.VolumeId,
    'volume-size': (one) => one.VolumeSize,
  },
  tags: (one) => one.Tags,
}

const TIER_FILTERABLE: Filterable<SnapshotTierStatus> = {
  fields: {
    ...absent('last-tiering-operation'),
    'snapshot-id': (one) => one.SnapshotId,
    'volume-id': (one) => one.VolumeId,
  },
  tags: (one) => one.Tags,
}

export function describeSnapshotHandlers({ state }: { readonly state: State }): DescribeHandlers {
  return {
    DescribeSnapshots: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const named = snapshotsAsked(view, input.SnapshotIds ?? [], account)
      endDryRun(input)
      const shown = named
        .filter((one) => isOwnedBy(one, input.OwnerIds, account))
        .filter((one) => mayBeRestoredBy(one, input.RestorableByUserIds, account))
        .map((one) => snapshotShown(view, one, account))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: Snapshot): string => one.SnapshotId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeSnapshots', input, found, cursor)
      return { Snapshots: [...items], NextToken: nextToken }
    },

    DescribeSnapshotTierStatus: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      endDryRun(input)
      const shown = view
        .by('volume-snapshot', 'account', account)
        .filter((one) => one.deletedAtMs === null)
        .map((one) => tierShown(snapshotShown(view, one, account)))
      const found = matching(shown, input.Filters, TIER_FILTERABLE)
      const cursor = (one: SnapshotTierStatus): string => one.SnapshotId ?? ''
      const action = 'DescribeSnapshotTierStatus'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { SnapshotTierStatuses: [...items], NextToken: nextToken }
    },

    ModifySnapshotTier: async ({ caller }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      namedInView(await state.fresh(), 'volume-snapshot', [id], caller.account)
      throw unsupported('The archive tier of snapshots')
    },

    RestoreSnapshotTier: async ({ caller }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      namedInView(await state.fresh(), 'volume-snapshot', [id], caller.account)
      throw unsupported('The archive tier of snapshots')
    },
  }
}

/** Unasked, all that the account may make volumes of (EC2 API reference, DescribeSnapshots). */
function snapshotsAsked(view: View, ids: readonly string[], account: string): SnapshotRecord[] {
  if (ids.length > 0) return namedInView(view, 'volume-snapshot', ids, account)
  return view.all('volume-snapshot').filter((one) => isVisible(one, account))
}

/** Account ids, `self`, or `amazon`, who has none here. */
function isOwnedBy(
  snapshot: SnapshotRecord,
  owners: readonly string[] | undefined,
  account: string,
): boolean {
  if (owners === undefined || owners.length === 0) return true
  return owners.some((owner) => snapshot.account === (owner === 'self' ? account : owner))
}

/** `all` is public ones; `self` and ids are those that the account was given, or has. */
function mayBeRestoredBy(
  snapshot: SnapshotRecord,
  users: readonly string[] | undefined,
  account: string,
): boolean {
  if (users === undefined || users.length === 0) return true
  if (isForAll(snapshot) && users.includes('all')) return true
  // Whom else a snapshot is given to is its owner's to know.
  const isMe = users.some((user) => user === 'self' || user === account)
  return isMe && (snapshot.account === account || snapshot.sharedWith.includes(account))
}

function tierShown(snapshot: Snapshot): SnapshotTierStatus {
  const { SnapshotId, VolumeId, OwnerId, State, StorageTier, Tags } = snapshot
  return { SnapshotId, VolumeId, OwnerId, Status: State, StorageTier, Tags }
}
