// DescribeImportImageTasks and CancelImportTask: what becomes of ImportImage.

import type { ImportImageTask } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { dropImported } from '../ebs/imported-snapshot.ts'
import type { ImportTaskRecord } from '../store/image-records.ts'
import type { State, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { oneInStore } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type TaskHandlers = Required<Pick<Ec2Handlers, 'DescribeImportImageTasks' | 'CancelImportTask'>>

/** How long a task that is over is shown. */
const SHOWN_MS = 7 * 86_400_000
const MAX_REASON_CHARS = 255
const GIB = 2 ** 30

const FILTERABLE: Filterable<ImportImageTask> = {
  fields: { 'task-state': (task) => task.Status },
  tags: (task) => task.Tags,
}

export function importTaskHandlers({ state }: { readonly state: State }): TaskHandlers {
  return {
    DescribeImportImageTasks: async (context, input) => {
      const view = await state.fresh()
      const tasks = ownedOrNamed(view, 'import-task', input.ImportTaskIds, context.caller.account)
      endDryRun(input)
      const images = tasks.filter(({ into }) => into === undefined)
      const shown = images.map((task) => importShown(view, task))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (task: ImportImageTask): string => task.ImportTaskId ?? ''
      const action = 'DescribeImportImageTasks'
      const { items, nextToken } = pageOf(context, action, input, found, cursor, 1_000, 1)
      return { ImportImageTasks: [...items], NextToken: nextToken }
    },

    CancelImportTask: async ({ caller: { account }, nowMs }, input) => {
      const id = required('ImportTaskId', input.ImportTaskId)
      const reason = parseReason(input.CancelReason)
      return await state.update(async (tx) => {
        const task = await oneInStore(tx, 'import-task', id, account)
        if (task.state === 'completed' || task.state === 'deleted') {
          const text = `The import task ${id} is ${task.state} and can no longer be cancelled`
          throw new ApiError('IncorrectState', text)
        }
        endDryRun(input)
        const next = cancelled(task, reason, nowMs)
        if (next.state === 'deleted') await dropImported(tx, next.snapshot, nowMs)
        await tx.put('import-task', [id], next)
        return { ImportTaskId: id, PreviousState: task.state, State: next.state }
      })
    },
  }
}

/** At once, unless a gateway has it under way: that one is to let go of it first. */
function cancelled(task: ImportTaskRecord, reason: string, nowMs: number): ImportTaskRecord {
  const message = task.state === 'deleting' ? task.message : `Cancelled by the user${reason}`
  if (isHeld(task, nowMs)) return { ...task, state: 'deleting', message }
  return ended({ ...task, message }, 'deleted', nowMs)
}

/** A gateway works at it, or did until a moment ago. */
export function isHeld({ worker }: ImportTaskRecord, nowMs: number): boolean {
  return worker !== undefined && worker.holder !== '' && worker.untilMs > nowMs
}

/** The task when it is over. */
export function ended(
  { worker: _, ...task }: ImportTaskRecord,
  state: 'deleted' | 'completed',
  nowMs: number,
): ImportTaskRecord {
  return { ...task, state, endedAtMs: nowMs }
}

/** Ended a while ago: it is shown no more. */
export function isOldImport({ endedAtMs }: ImportTaskRecord, nowMs: number): boolean {
  return endedAtMs !== undefined && nowMs - endedAtMs > SHOWN_MS
}

export function importShown(view: View, task: ImportTaskRecord): ImportImageTask {
  const { source, format, url } = task
  const isOver = task.state === 'completed' || task.state === 'deleted'
  return {
    ImportTaskId: task.id,
    Description: task.description === '' ? undefined : task.description,
    Architecture: 'x86_64',
    Hypervisor: 'xen',
    LicenseType: 'BYOL',
    Platform: 'Linux',
    UsageOperation: 'RunInstances',
    Encrypted: false,
    ImageId: task.image,
    Status: task.state,
    StatusMessage: task.message === '' ? undefined : task.message,
    Progress: isOver ? undefined : `${task.progress}`,
    SnapshotDetails: [
      {
        DiskImageSize: source.sizeBytes / GIB,
        Format: format?.toUpperCase(),
        Status: task.state,
        Url: url,
        UserBucket: url === undefined ? { S3Bucket: source.bucket, S3Key: source.key } : undefined,
      },
    ],
    Tags: tagList(view, task.id),
  }
}

function parseReason(text = ''): string {
  if ([...text].length > MAX_REASON_CHARS) {
    const shown = [...text].slice(0, MAX_REASON_CHARS).join('')
    throw badValue('CancelReason', shown, `At most ${MAX_REASON_CHARS} characters are allowed.`)
  }
  return text === '' ? '' : `: ${text}`
}
