// What goes with a group, in the transaction in which it goes.

import type { ScalingGroupRecord } from '../store/scaling-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { groupKey } from './groups-kept.ts'

/**
 * Deletes a group that has no instances, its policies, schedule and refreshes. Who adds one takes
 * a turn of the group: the view shows all of them, or the transaction runs again.
 */
export async function forgetGroup(
  tx: Transaction,
  view: View,
  { account, name, id }: ScalingGroupRecord,
): Promise<void> {
  for (const policy of view.by('scaling-policy', 'group', id)) {
    await tx.delete('scaling-policy', policy.id)
  }
  for (const action of view.by('scheduled-action', 'group', id)) {
    await tx.delete('scheduled-action', action.id)
  }
  for (const refresh of view.by('instance-refresh', 'group', id)) {
    await tx.delete('instance-refresh', refresh.id)
  }
  await tx.delete('scaling-group', ...groupKey(account, name))
}
