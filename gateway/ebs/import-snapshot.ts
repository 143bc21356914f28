// ImportSnapshot: a task that makes a snapshot of an object, beside everything else
// (control/imports.ts does it). And DescribeImportSnapshotTasks.

import type { ImportSnapshotTask } from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { answeredBefore, keepAnswer, parseClientToken } from '../ec2/client-tokens.ts'
import { type Filterable, matching } from '../ec2/filters.ts'
import { namedInView, newId } from '../ec2/ids.ts'
import { parseImageDescription } from '../ec2/images.ts'
import { checkCount, type ImportParts, parseDisk, sourceOf } from '../ec2/import-image.ts'
import { endDryRun, refuseUnknown, required } from '../ec2/input.ts'
import { pageOf } from '../ec2/paging.ts'
import { addTags, parseTagSpecifications, tagList } from '../ec2/tagging.ts'
import type { ImportTaskRecord } from '../store/image-records.ts'
import type { View } from '../store/state.ts'

type ImportHandlers = Required<Pick<Ec2Handlers, 'DescribeImportSnapshotTasks' | 'ImportSnapshot'>>

const KNOWN = new Set([
  ...['DiskContainer', 'Description', 'ClientToken', 'TagSpecifications', 'DryRun'],
  // As ImportImage has them.
  ...['ClientData', 'RoleName'],
])
const HARMLESS = new Map<string, readonly unknown[]>([['Encrypted', [false]]])
const PREFIX = 'import-snap'

const FILTERABLE: Filterable<ImportSnapshotTask> = {
  fields: { 'task-state': (task) => task.SnapshotTaskDetail?.Status },
  tags: (task) => task.Tags,
}

export function importSnapshotHandlers({
  state,
  randomHex,
  findObject,
}: ImportParts): ImportHandlers {
  return {
    ImportSnapshot: async (context, input) => {
      const { account } = context.caller
      refuseUnknown(input, KNOWN, HARMLESS)
      const container = required('DiskContainer', input.DiskContainer)
      const { location, url, format, description } = parseDisk(container, 'DiskContainer.')
      const tags = parseTagSpecifications(input.TagSpecifications, ['import-task'], PREFIX)
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'ImportSnapshot', token }
      const known = await state.update((tx) => answeredBefore(tx, use))
      // The object may be gone since: what was answered before needs it no more.
      const source = known === null ? await sourceOf(findObject, context, location) : null
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null || source === null) return before ?? known ?? ''
        await checkCount(tx, state, account)
        const made = await newId(tx, randomHex, 'import-task', PREFIX)
        endDryRun(input)
        const task: ImportTaskRecord = {
          ...{ id: made, account, source, into: 'snapshot' },
          description: parseImageDescription(input.Description ?? description),
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
      return task === undefined ? {} : taskShown(view, task)
    },

    DescribeImportSnapshotTasks: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const ids = input.ImportTaskIds ?? []
      const tasks =
        ids.length > 0
          ? namedInView(view, 'import-task', ids, account)
          : view.by('import-task', 'account', account)
      endDryRun(input)
      const shown = tasks
        .filter(({ into }) => into === 'snapshot')
        .map((one) => taskShown(view, one))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (task: ImportSnapshotTask): string => task.ImportTaskId ?? ''
      const action = 'DescribeImportSnapshotTasks'
      const { items, nextToken } = pageOf(context, action, input, found, cursor, 1_000, 1)
      return { ImportSnapshotTasks: [...items], NextToken: nextToken }
    },
  }
}

function taskShown(view: View, task: ImportTaskRecord): ImportSnapshotTask {
  const { id, description, source, url, format, snapshot, state, progress, message } = task
  const isOver = state === 'completed' || state === 'deleted'
  const shown = description === '' ? undefined : description
  return {
    ImportTaskId: id,
    Description: shown,
    SnapshotTaskDetail: {
      Description: shown,
      DiskImageSize: source.sizeBytes,
      Encrypted: false,
      Format: format?.toUpperCase(),
      Progress: isOver ? undefined : `${progress}`,
      SnapshotId: snapshot,
      Status: state,
      StatusMessage: message === '' ? undefined : message,
      Url: url,
      UserBucket: url === undefined ? { S3Bucket: source.bucket, S3Key: source.key } : undefined,
    },
    Tags: tagList(view, id),
  }
}
