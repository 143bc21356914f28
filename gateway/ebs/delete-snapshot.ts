// DeleteSnapshot: nobody sees it any more. Its record stays until its blocks are let go of and its
// SC keeps nothing for it (control/snapshot-keeping.ts).

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { namedInView } from '../ec2/ids.ts'
import { required } from '../ec2/input.ts'
import { removeUnused } from '../ec2/removal.ts'
import type { State, View } from '../store/state.ts'
import { snapshotsOf } from './image-states.ts'
import { isLocked } from './lock-state.ts'
import { notAuthorized, ownSnapshot } from './snapshot-shape.ts'

export interface DeleteParts {
  readonly state: State
  readonly randomHex: RandomHex
}

export function deleteSnapshotHandler(
  parts: DeleteParts,
): Required<Pick<Ec2Handlers, 'DeleteSnapshot'>> {
  return {
    DeleteSnapshot: async ({ caller: { account }, nowMs }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      await deleteSnapshot(parts, { id, account, nowMs }, input)
      return {}
    },
  }
}

/** Throws what DeleteSnapshot answers. */
export async function deleteSnapshot(
  parts: DeleteParts,
  { id, account, nowMs }: { readonly id: string; readonly account: string; readonly nowMs: number },
  input: { readonly DryRun?: boolean | undefined },
): Promise<void> {
  await removeUnused(parts, input, {
    kind: 'volume-snapshot',
    id,
    check: (view) => {
      const [snapshot] = namedInView(view, 'volume-snapshot', [id], account)
      if (snapshot?.account !== account) throw notAuthorized(id)
      if (isLocked(snapshot, nowMs)) throw locked(id)
      checkUnused(view, id)
    },
    remove: async (tx) => {
      const snapshot = await ownSnapshot(tx, id, account)
      if (isLocked(snapshot, nowMs)) throw locked(id)
      await tx.delete('tags', id)
      await tx.put('volume-snapshot', [id], { ...snapshot, deletedAtMs: nowMs })
    },
  })
}

function locked(id: string): ApiError {
  const text = `The snapshot '${id}' is locked and cannot be deleted before the lock ends.`
  return new ApiError('OperationNotPermitted', text)
}

/** Whoever makes an image of a snapshot keeps it from removal (keepFromRemoval). */
function checkUnused(view: View, id: string): void {
  const user = view
    .all('image')
    .find((image) => image.state === 'available' && snapshotsOf(image).includes(id))
  if (user === undefined) return
  const text = `The snapshot ${id} is currently in use by ${user.id}`
  throw new ApiError('InvalidSnapshot.InUse', text)
}
