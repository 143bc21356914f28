// DescribeSnapshotAttribute, ModifySnapshotAttribute, ResetSnapshotAttribute: who else may make
// volumes of a snapshot.

import type { CreateVolumePermission } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { namedInView } from '../ec2/ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from '../ec2/input.ts'
import type { State, Transaction } from '../store/state.ts'
import type { SnapshotRecord } from '../store/volume-records.ts'
import { notAuthorized, ownSnapshot } from './snapshot-shape.ts'

type AttributeHandlers = Required<
  Pick<
    Ec2Handlers,
    'DescribeSnapshotAttribute' | 'ModifySnapshotAttribute' | 'ResetSnapshotAttribute'
  >
>
type Modify = Ec2Inputs['ModifySnapshotAttribute']

/** As of images: AWS names no number for snapshots. */
const MAX_SHARED = 1_000
const ACCOUNT = /^\d{12}$/
const PERMISSION = 'createVolumePermission'
const KNOWN = new Set([
  ...['SnapshotId', 'Attribute', 'OperationType', 'UserIds', 'GroupNames'],
  ...['CreateVolumePermission', 'DryRun'],
])

export function snapshotAttributeHandlers({ state }: { readonly state: State }): AttributeHandlers {
  return {
    DescribeSnapshotAttribute: async ({ caller: { account } }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      const attribute: string = required('Attribute', input.Attribute)
      if (attribute !== PERMISSION && attribute !== 'productCodes') throw badAttribute(attribute)
      const [snapshot] = namedInView(await state.fresh(), 'volume-snapshot', [id], account)
      // Whom it is given to is its owner's to know.
      if (snapshot?.account !== account) throw notAuthorized(id)
      endDryRun(input)
      return attribute === PERMISSION
        ? { SnapshotId: id, CreateVolumePermissions: permissionsOf(snapshot) }
        : { SnapshotId: id, ProductCodes: [] }
    },

    ModifySnapshotAttribute: async ({ caller: { account } }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      refuseUnknown(input, KNOWN, new Map())
      const { add, remove } = changesOf(input)
      if (add.length + remove.length === 0) {
        const text = 'The request must contain changes of CreateVolumePermission'
        throw new ApiError('MissingParameter', text)
      }
      await state.update(async (tx) => {
        const snapshot = await ownSnapshot(tx, id, account)
        const shared = await sharing(tx, snapshot, add, remove)
        endDryRun(input)
        await tx.put('volume-snapshot', [id], { ...snapshot, ...shared })
      })
      return {}
    },

    ResetSnapshotAttribute: async ({ caller: { account } }, input) => {
      const id = required('SnapshotId', input.SnapshotId)
      const attribute: string = required('Attribute', input.Attribute)
      if (attribute !== PERMISSION) throw badAttribute(attribute)
      await state.update(async (tx) => {
        const snapshot = await ownSnapshot(tx, id, account)
        endDryRun(input)
        await tx.put('volume-snapshot', [id], { ...snapshot, isPublic: false, sharedWith: [] })
      })
      return {}
    },
  }
}

function badAttribute(attribute: string): ApiError {
  return badValue('attribute', attribute, `Expecting ${PERMISSION}.`)
}

function permissionsOf({ isPublic, sharedWith }: SnapshotRecord): CreateVolumePermission[] {
  const everybody: CreateVolumePermission[] = isPublic ? [{ Group: 'all' }] : []
  return [...everybody, ...sharedWith.map((UserId) => ({ UserId }))]
}

/** Both forms: CreateVolumePermission.Add and .Remove, or an operation for ids and groups. */
function changesOf(input: Modify): Record<'add' | 'remove', CreateVolumePermission[]> {
  const { Attribute: attribute, OperationType: operation } = input
  if (attribute !== undefined && attribute !== PERMISSION) throw badAttribute(attribute)
  const listed: CreateVolumePermission[] = [
    ...(input.UserIds ?? []).map((UserId) => ({ UserId })),
    ...(input.GroupNames ?? []).map((Group) => ({ Group: Group as 'all' })),
  ]
  if (listed.length > 0) required('OperationType', operation)
  const { Add = [], Remove = [] } = input.CreateVolumePermission ?? {}
  const add = [...Add, ...(operation === 'add' ? listed : [])]
  const remove = [...Remove, ...(operation === 'remove' ? listed : [])]
  for (const one of [...add, ...remove]) checkPermission(one)
  return { add, remove }
}

function checkPermission({ UserId: user, Group: group }: CreateVolumePermission): void {
  if (group !== undefined && group !== 'all') throw badValue('group', group, 'Expecting all.')
  if (user !== undefined && !ACCOUNT.test(user)) {
    throw badValue('userId', user, 'Expecting an account id of 12 digits.')
  }
  if (user === undefined && group === undefined) required('UserId or Group', undefined)
}

async function sharing(
  tx: Transaction,
  snapshot: SnapshotRecord,
  add: readonly CreateVolumePermission[],
  remove: readonly CreateVolumePermission[],
): Promise<Pick<SnapshotRecord, 'isPublic' | 'sharedWith'>> {
  const shared = new Set(snapshot.sharedWith)
  let { isPublic } = snapshot
  for (const { UserId: user } of add) {
    if (user === undefined) isPublic = true
    else if ((await tx.get('account', user)) !== null) shared.add(user)
    else throw badValue('userId', user, 'There is no such account.')
  }
  for (const { UserId: user } of remove) {
    if (user === undefined) isPublic = false
    else shared.delete(user)
  }
  if (isPublic && !snapshot.isPublic) await checkPublic(tx, snapshot)
  if (shared.size > MAX_SHARED) {
    const why = `The snapshot would be shared with ${shared.size} accounts; at most ${MAX_SHARED}.`
    throw badValue('userId', [...shared].at(-1), why)
  }
  return { isPublic, sharedWith: [...shared].sort() }
}

async function checkPublic(tx: Transaction, { id, account, encrypted }: SnapshotRecord) {
  if (encrypted) {
    const text = `The snapshot '${id}' is encrypted and cannot be shared with everybody.`
    throw new ApiError('OperationNotPermitted', text)
  }
  const settings = await tx.get('ebs-settings', account)
  if (settings?.blockPublicAccess === undefined) return
  const text = 'You cannot publicly share this snapshot because block public access is on'
  throw new ApiError('OperationNotPermitted', text)
}
