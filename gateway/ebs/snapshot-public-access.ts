// Block public access of snapshots: whether an account's snapshots may become public, and whether
// those that are public count as such (EBS user guide, "Block public access for snapshots").

import type { Ec2Handlers } from '../aws/handlers.ts'
import { badValue, endDryRun, required } from '../ec2/input.ts'
import type { State } from '../store/state.ts'
import type { EbsSettingsRecord, SnapshotRecord } from '../store/volume-records.ts'

type AccessHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DisableSnapshotBlockPublicAccess'
    | 'EnableSnapshotBlockPublicAccess'
    | 'GetSnapshotBlockPublicAccessState'
  >
>
type Blocked = EbsSettingsRecord['blockPublicAccess']

export function snapshotPublicAccessHandlers({ state }: { readonly state: State }): AccessHandlers {
  const set = async (account: string, blocked: Blocked, input: object): Promise<void> => {
    await state.update(async (tx) => {
      const { blockPublicAccess: _, ...settings } = (await tx.get('ebs-settings', account)) ?? {
        account,
      }
      endDryRun(input)
      const next = { ...settings, ...(blocked !== undefined && { blockPublicAccess: blocked }) }
      await tx.put('ebs-settings', [account], next)
      const isHidden = blocked === 'block-all-sharing'
      for (const { id } of (await state.fresh()).by('volume-snapshot', 'account', account)) {
        const snapshot = await tx.get('volume-snapshot', id)
        if (snapshot?.isPublic === true)
          await tx.put('volume-snapshot', [id], hid(snapshot, isHidden))
      }
    })
  }
  return {
    GetSnapshotBlockPublicAccessState: async ({ caller: { account } }, input) => {
      const settings = (await state.fresh()).get('ebs-settings', account)
      endDryRun(input)
      return { State: settings?.blockPublicAccess ?? 'unblocked', ManagedBy: 'account' }
    },

    EnableSnapshotBlockPublicAccess: async ({ caller: { account } }, input) => {
      const asked = required('State', input.State)
      if (asked !== 'block-all-sharing' && asked !== 'block-new-sharing') {
        throw badValue('State', asked, 'Expecting block-all-sharing or block-new-sharing.')
      }
      await set(account, asked, input)
      return { State: asked }
    },

    DisableSnapshotBlockPublicAccess: async ({ caller: { account } }, input) => {
      await set(account, undefined, input)
      return { State: 'unblocked' }
    },
  }
}

function hid(
  { publicIsBlocked: _, ...snapshot }: SnapshotRecord,
  isHidden: boolean,
): SnapshotRecord {
  return isHidden ? { ...snapshot, publicIsBlocked: true } : snapshot
}
