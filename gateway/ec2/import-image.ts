// ImportImage: a task that makes an image of an object, beside everything else
// (control/imports.ts does it). Nothing is converted: the object is the disk as hosts run it.

import type { ImageDiskContainer } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers } from '../aws/handlers.ts'
import type { ImageSource, ImportTaskRecord } from '../store/image-records.ts'
import type { State, Transaction } from '../store/state.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import { namedInView, newId } from './ids.ts'
import { parseImageDescription } from './images.ts'
import { importShown } from './import-tasks.ts'
import { badValue, endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'

/** Makes the error that says why an object is not to be had. */
export type ReasonedRefusal = (why: string) => ApiError

/**
 * The current version of `bucket/key`, if the caller may read it. Null when the text names no
 * bucket; throws what `refused` makes of the reason otherwise.
 */
export type FindObject = (
  context: CallContext,
  location: string,
  refused: ReasonedRefusal,
) => Promise<ImageSource | null>

export interface ImportParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly findObject: FindObject
}

/** VM Import/Export user guide, "Quotas": tasks of an account at a time. */
const MAX_ACTIVE = 20
const KNOWN = new Set([
  ...['DiskContainers', 'Description', 'ClientToken', 'TagSpecifications', 'DryRun'],
  // Who uploaded it says when; the caller's own right to the object counts, no role's.
  ...['ClientData', 'RoleName'],
])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['Architecture', ['x86_64']],
  ['Hypervisor', ['xen']],
  ['Platform', ['Linux']],
  ['LicenseType', ['BYOL']],
  ['BootMode', ['legacy-bios']],
  ['UsageOperation', ['RunInstances']],
  ['Encrypted', [false]],
])
const DISK_KNOWN = new Set(['Format', 'Url', 'UserBucket', 'Description', 'DeviceName'])
const URL = /^s3:\/\/[^/]+\/./
/** What AWS takes and converts. */
const CONVERTED = new Set(['ova', 'vhd', 'vhdx', 'vmdk'])

export function importImageHandler({
  state,
  randomHex,
  findObject,
}: ImportParts): Required<Pick<Ec2Handlers, 'ImportImage'>> {
  return {
    ImportImage: async (context, input) => {
      const { account } = context.caller
      refuseUnknown(input, KNOWN, HARMLESS)
      const disk = onlyDisk(required('DiskContainers', input.DiskContainers))
      const description = parseImageDescription(input.Description ?? disk.description)
      const tags = parseTagSpecifications(input.TagSpecifications, ['import-task'])
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'ImportImage', token }
      const known = await state.update((tx) => answeredBefore(tx, use))
      // The object may be gone since: what was answered before needs it no more.
      const source = known === null ? await sourceOf(findObject, context, disk.location) : null
      const { url, format } = disk
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null || source === null) return before ?? known ?? ''
        await checkCount(tx, state, account)
        const made = await newId(tx, randomHex, 'import-task')
        endDryRun(input)
        const task: ImportTaskRecord = {
          ...{ id: made, account, description, source },
          ...(url === undefined ? {} : { url }),
          ...(format === undefined ? {} : { format }),
          ...{ state: 'active', progress: 0, message: 'pending', failures: 0 },
          createdAtMs: context.nowMs,
        }
        await tx.put('import-task', [made], task)
        const owner = { kind: 'import-task', id: made, account } as const
        await addTags(tx, owner, tags.get('import-task') ?? new Map())
        await keepAnswer(tx, use, made)
        return made
      })
      endDryRun(input)
      const view = await state.fresh()
      const [task] = namedInView(view, 'import-task', [id], account)
      return task === undefined ? {} : importShown(view, task)
    },
  }
}

export interface Disk {
  /** `bucket/key` or `s3://bucket/key`. */
  readonly location: string
  readonly url?: string
  readonly format?: 'raw' | 'qcow2'
  readonly description: string
}

function onlyDisk(containers: readonly ImageDiskContainer[]): Disk {
  const [disk = {}, ...more] = containers
  if (more.length > 0) throw unsupported(`Importing ${containers.length} disks, of data as well,`)
  return parseDisk(disk, 'DiskContainer.1.')
}

/** `path` is where it stands in the request. Throws for what is no object or another format. */
export function parseDisk(disk: ImageDiskContainer, path: string): Disk {
  const { Format, Url: url, UserBucket: bucket, Description: description = '' } = disk
  refuseUnknown(disk, DISK_KNOWN, new Map(), path)
  const format = Format === undefined ? {} : { format: parseFormat(Format, path) }
  if (url !== undefined && bucket !== undefined) {
    const text = `The parameters ${path}Url and ${path}UserBucket exclude each other`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (bucket !== undefined) {
    const name = required(`${path}UserBucket.S3Bucket`, bucket.S3Bucket)
    const key = required(`${path}UserBucket.S3Key`, bucket.S3Key)
    return { location: `s3://${name}/${key}`, ...format, description }
  }
  const location = required(`${path}Url`, url)
  if (!URL.test(location)) {
    throw badValue(`${path}Url`, location, 'Use s3://bucket/key.')
  }
  return { location, url: location, ...format, description }
}

function parseFormat(text: string, path: string): 'raw' | 'qcow2' {
  const format = text.toLowerCase()
  if (format === 'raw' || format === 'qcow2') return format
  if (CONVERTED.has(format)) {
    throw unsupported(`The disk format ${text} (convert it to raw or qcow2 first)`)
  }
  throw badValue(`${path}Format`, text, 'Use raw or qcow2.')
}

export async function sourceOf(
  findObject: FindObject,
  context: CallContext,
  location: string,
): Promise<ImageSource> {
  const refused: ReasonedRefusal = (why) =>
    new ApiError('InvalidParameter', `The given S3 object ${location} is not accessible. ${why}`)
  const source = await findObject(context, location, refused)
  if (source === null) throw refused('No bucket can have such a name.')
  return source
}

export async function checkCount(tx: Transaction, state: State, account: string): Promise<void> {
  // Written again: two tasks that are made at once must see each other.
  const record = await tx.get('account', account)
  if (record !== null) await tx.put('account', [account], record)
  const tasks = (await state.fresh()).by('import-task', 'account', account)
  const count = tasks.filter((task) => task.state === 'active' || task.state === 'deleting').length
  if (count < MAX_ACTIVE) return
  const text = `The account has ${count} import tasks under way; at most ${MAX_ACTIVE} are allowed.`
  throw new ApiError('ResourceCountLimitExceeded', text)
}
