// DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute: an image's description and who
// may launch it. Deprecation, and whether an account's images may become public.

import type { LaunchPermission } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import { imageMappings } from '../ebs/mapping-shapes.ts'
import type { ImageRecord } from '../store/records.ts'
import type { State, Transaction } from '../store/state.ts'
import { namedInView, oneInStore } from './ids.ts'
import { parseImageDescription, unavailable } from './images.ts'
import { badValue, endDryRun, refuseUnknown, required, unsupported } from './input.ts'

type AttributeHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DescribeImageAttribute'
    | 'DisableImageBlockPublicAccess'
    | 'DisableImageDeprecation'
    | 'EnableImageBlockPublicAccess'
    | 'EnableImageDeprecation'
    | 'GetImageBlockPublicAccessState'
    | 'ModifyImageAttribute'
    | 'ResetImageAttribute'
  >
>
type Modify = Ec2Inputs['ModifyImageAttribute']

/** AWS's quota of accounts that an image is shared with. */
const MAX_SHARED = 1_000
const MAX_DEPRECATION_YEARS = 10
const MINUTE_MS = 60_000
const ACCOUNT = /^\d{12}$/
const MODIFY_KNOWN = new Set([
  ...['ImageId', 'Attribute', 'OperationType', 'UserIds', 'UserGroups', 'Value'],
  ...['LaunchPermission', 'Description', 'DryRun'],
])

const ATTRIBUTES: Readonly<
  Record<string, (image: ImageRecord) => Ec2Outputs['DescribeImageAttribute']>
> = {
  blockDeviceMapping: (image) => ({ BlockDeviceMappings: imageMappings(image) }),
  bootMode: () => ({ BootMode: { Value: 'legacy-bios' } }),
  deregistrationProtection: () => ({ DeregistrationProtection: { Value: 'disabled' } }),
  description: ({ description }) => ({ Description: { Value: description } }),
  kernel: ({ kernel }) => ({ KernelId: kernel === undefined ? {} : { Value: kernel } }),
  imdsSupport: () => ({ ImdsSupport: {} }),
  launchPermission: (image) => ({ LaunchPermissions: permissionsOf(image) }),
  productCodes: () => ({ ProductCodes: [] }),
  ramdisk: ({ ramdisk }) => ({ RamdiskId: ramdisk === undefined ? {} : { Value: ramdisk } }),
  sriovNetSupport: () => ({ SriovNetSupport: {} }),
  tpmSupport: () => ({ TpmSupport: {} }),
}

export function imageAttributeHandlers({ state }: { state: State }): AttributeHandlers {
  const block = async (account: string, isBlocked: boolean, input: object): Promise<void> => {
    await state.update(async (tx) => {
      const record = await tx.get('account', account)
      if (record === null) throw new RangeError(`there is no account ${account}`)
      endDryRun(input)
      await tx.put('account', [account], { ...record, blocksPublicImages: isBlocked })
    })
  }
  const deprecate = async (
    account: string,
    input: { ImageId?: string | undefined; DryRun?: boolean | undefined },
    deprecatedAtMs: number | null,
  ): Promise<void> => {
    const id = required('ImageId', input.ImageId)
    await state.update(async (tx) => {
      const image = await ownImage(tx, id, account)
      endDryRun(input)
      await tx.put('image', [id], { ...image, deprecatedAtMs })
    })
  }
  return {
    DescribeImageAttribute: async ({ caller }, input) => {
      const id = required('ImageId', input.ImageId)
      const attribute: string = required('Attribute', input.Attribute)
      const show = ATTRIBUTES[attribute]
      if (show === undefined) throw unsupported(`The attribute ${attribute} of an image`)
      const [image] = namedInView(await state.fresh(), 'image', [id], caller.account)
      if (image === undefined || image.state !== 'available') throw unavailable(id)
      // Who may launch it is its owner's to know (EC2 API reference, DescribeImageAttribute).
      if (image.account !== caller.account) throw notAuthorized(id)
      endDryRun(input)
      return { ImageId: id, ...show(image) }
    },

    ModifyImageAttribute: async ({ caller: { account } }, input) => {
      const id = required('ImageId', input.ImageId)
      refuseUnknown(input, MODIFY_KNOWN, new Map())
      const description = descriptionOf(input)
      const { add, remove } = changesOf(input)
      if (description === null && add.length + remove.length === 0) {
        const text = 'The request must contain a Description or changes of LaunchPermission'
        throw new ApiError('MissingParameter', text)
      }
      await state.update(async (tx) => {
        const image = await ownImage(tx, id, account)
        const shared = await sharing(tx, image, add, remove)
        endDryRun(input)
        const text = description ?? image.description
        await tx.put('image', [id], { ...image, ...shared, description: text })
      })
      return {}
    },

    ResetImageAttribute: async ({ caller: { account } }, input) => {
      const id = required('ImageId', input.ImageId)
      const attribute: string = required('Attribute', input.Attribute)
      if (attribute !== 'launchPermission') {
        throw badValue('attribute', attribute, 'Expecting launchPermission.')
      }
      await state.update(async (tx) => {
        const image = await ownImage(tx, id, account)
        endDryRun(input)
        await tx.put('image', [id], { ...image, isPublic: false, sharedWith: [] })
      })
      return {}
    },

    EnableImageDeprecation: async ({ caller, nowMs }, input) => {
      const asked = required('DeprecateAt', input.DeprecateAt).getTime()
      const last = new Date(nowMs)
      last.setUTCFullYear(last.getUTCFullYear() + MAX_DEPRECATION_YEARS)
      if (!(asked > nowMs && asked <= last.getTime())) {
        const why = `Expecting a time after now and within ${MAX_DEPRECATION_YEARS} years.`
        throw badValue('DeprecateAt', new Date(asked).toISOString(), why)
      }
      await deprecate(caller.account, input, Math.ceil(asked / MINUTE_MS) * MINUTE_MS)
      return { Return: true }
    },

    DisableImageDeprecation: async ({ caller }, input) => {
      await deprecate(caller.account, input, null)
      return { Return: true }
    },

    GetImageBlockPublicAccessState: async ({ caller }, input) => {
      const view = await state.fresh()
      endDryRun(input)
      const isBlocked = view.get('account', caller.account)?.blocksPublicImages === true
      const is = isBlocked ? 'block-new-sharing' : 'unblocked'
      return { ImageBlockPublicAccessState: is, ManagedBy: 'account' }
    },

    EnableImageBlockPublicAccess: async ({ caller }, input) => {
      await block(caller.account, true, input)
      return { ImageBlockPublicAccessState: 'block-new-sharing' }
    },

    DisableImageBlockPublicAccess: async ({ caller }, input) => {
      await block(caller.account, false, input)
      return { ImageBlockPublicAccessState: 'unblocked' }
    },
  }
}

/** An image of the caller's own that is not deregistered. */
async function ownImage(tx: Transaction, id: string, account: string): Promise<ImageRecord> {
  const image = await oneInStore(tx, 'image', id, account)
  if (image.account !== account) throw notAuthorized(id)
  if (image.state !== 'available') throw unavailable(id)
  return image
}

/** A public image that is somebody else's. */
function notAuthorized(id: string): ApiError {
  const text = `Not authorized for images: [${id}]`
  return new ApiError('AuthFailure', text, 403)
}

function permissionsOf({ isPublic, sharedWith = [] }: ImageRecord): LaunchPermission[] {
  const everybody: LaunchPermission[] = isPublic ? [{ Group: 'all' }] : []
  return [...everybody, ...sharedWith.map((UserId) => ({ UserId }))]
}

/** The description in either form of the request; null when it says none. */
function descriptionOf({ Description, Attribute, Value }: Modify): string | null {
  const text = Description?.Value ?? (Attribute === 'description' ? Value : undefined)
  return text === undefined ? null : parseImageDescription(text)
}

/** Both forms: LaunchPermission.Add and .Remove, or an operation for ids and groups. */
function changesOf(input: Modify): { add: LaunchPermission[]; remove: LaunchPermission[] } {
  const { Attribute: attribute, OperationType: operation } = input
  if (attribute !== undefined && attribute !== 'launchPermission' && attribute !== 'description') {
    throw badValue('attribute', attribute, 'Expecting launchPermission or description.')
  }
  const listed: LaunchPermission[] = [
    ...(input.UserIds ?? []).map((UserId) => ({ UserId })),
    ...(input.UserGroups ?? []).map((Group) => ({ Group: Group as 'all' })),
  ]
  if (listed.length > 0) required('OperationType', operation)
  const add = [...(input.LaunchPermission?.Add ?? []), ...(operation === 'add' ? listed : [])]
  const removed = operation === 'remove' ? listed : []
  const remove = [...(input.LaunchPermission?.Remove ?? []), ...removed]
  for (const one of [...add, ...remove]) checkPermission(one)
  return { add, remove }
}

function checkPermission({ UserId: user, Group: group, ...other }: LaunchPermission): void {
  if (Object.values(other).some((value) => value !== undefined)) {
    throw unsupported('Sharing an image with an organization')
  }
  if (group !== undefined && group !== 'all') throw badValue('group', group, 'Expecting all.')
  if (user !== undefined && !ACCOUNT.test(user)) {
    throw new ApiError('InvalidAMIAttributeItemValue', `Invalid attribute item value "${user}"`)
  }
  if (user === undefined && group === undefined) required('UserId or Group', undefined)
}

async function sharing(
  tx: Transaction,
  image: ImageRecord,
  add: readonly LaunchPermission[],
  remove: readonly LaunchPermission[],
): Promise<Pick<ImageRecord, 'isPublic' | 'sharedWith'>> {
  const shared = new Set(image.sharedWith ?? [])
  let isPublic = image.isPublic
  for (const { UserId: user } of add) {
    if (user === undefined) isPublic = true
    else if ((await tx.get('account', user)) !== null) shared.add(user)
    else throw new ApiError('InvalidAMIAttributeItemValue', `There is no account ${user}`)
  }
  for (const { UserId: user } of remove) {
    if (user === undefined) isPublic = false
    else shared.delete(user)
  }
  const account = await tx.get('account', image.account)
  if (isPublic && !image.isPublic && account?.blocksPublicImages === true) {
    const text = 'You cannot publicly share this image because block public access is on'
    throw new ApiError('OperationNotPermitted', text)
  }
  if (shared.size > MAX_SHARED) {
    const text = `The image ${image.id} would be shared with ${shared.size} accounts; at most ${MAX_SHARED}.`
    throw new ApiError('AMILaunchPermissionLimitExceeded', text)
  }
  return { isPublic, sharedWith: [...shared].sort() }
}
