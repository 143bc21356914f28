// CreateTags, DeleteTags, DescribeTags.

import type { Filter, Tag, TagDescription } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { TagsRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { groupOfRule } from './group-rules.ts'
import { kindOfId, namedInStore, notFound } from './ids.ts'
import { endDryRun, required, unsupported } from './input.ts'
import { pageOf } from './paging.ts'
import { peeringOf } from './peering-records.ts'
import {
  addTags,
  checkKey,
  isSystemTag,
  parseTags,
  removeTags,
  type TagOwner,
  tagsOf,
} from './tagging.ts'

type TagHandlers = Required<Pick<Ec2Handlers, 'CreateTags' | 'DeleteTags' | 'DescribeTags'>>

const MAX_RESOURCES = 1_000

const FILTERABLE: Filterable<TagDescription> = {
  fields: {
    key: (tag) => tag.Key,
    value: (tag) => tag.Value,
    'resource-id': (tag) => tag.ResourceId,
    'resource-type': (tag) => tag.ResourceType,
  },
  // `tag:KEY` with a value; `tag-key` is not among this action's filters but does no harm.
  tags: ({ Key, Value }) => [{ Key, Value }],
}

export function tagHandlers({ state }: { state: State }): TagHandlers {
  return {
    CreateTags: async ({ caller }, input) => {
      const tags = parseTags(required('Tag', input.Tags))
      const view = await state.fresh()
      await state.update(async (tx) => {
        const asked = required('ResourceId', input.Resources)
        const owners = await ownersOf(tx, view, asked, caller.account)
        endDryRun(input)
        for (const owner of owners) await addTags(tx, owner, tags)
      })
      return {}
    },

    DeleteTags: async ({ caller }, input) => {
      const goes = deletion(input.Tags)
      const view = await state.fresh()
      await state.update(async (tx) => {
        const asked = required('ResourceId', input.Resources)
        const owners = await ownersOf(tx, view, asked, caller.account)
        endDryRun(input)
        for (const owner of owners) await removeTags(tx, owner, goes)
      })
      return {}
    },

    DescribeTags: async (context, input) => {
      endDryRun(input)
      const view = await state.fresh()
      const tags = recordsAsked(view, context.caller.account, input.Filters).flatMap((record) =>
        [...tagsOf(record)].map(([Key, Value]) => ({
          Key,
          Value,
          ResourceId: record.resource,
          ResourceType: record.resourceType as NonNullable<TagDescription['ResourceType']>,
        })),
      )
      const found = matching<TagDescription>(tags, input.Filters, FILTERABLE)
      const { items, nextToken } = pageOf(context, 'DescribeTags', input, found, cursorOf)
      return { Tags: [...items], NextToken: nextToken }
    },
  }
}

/** Those that the filters may match: of resources that they name, no walk over all others. */
function recordsAsked(
  view: View,
  account: string,
  filters: readonly Filter[] | undefined,
): readonly TagsRecord[] {
  const named = filters?.find(({ Name }) => Name === 'resource-id')?.Values
  if (named === undefined || named.some((value) => /[*?\\]/.test(value))) {
    return view.by('tags', 'account', account)
  }
  return [...new Set(named)]
    .map((id) => view.get('tags', id))
    .filter((record) => record !== null)
    .filter((record) => record.account === account)
}

async function ownersOf(
  tx: Transaction,
  view: View,
  ids: readonly string[],
  account: string,
): Promise<TagOwner[]> {
  if (ids.length > MAX_RESOURCES) {
    const text = `The request names ${ids.length} resources; at most ${MAX_RESOURCES} are allowed.`
    throw new ApiError('InvalidParameterValue', text)
  }
  const owners: TagOwner[] = []
  for (const id of new Set(ids)) {
    const kind = kindOfId(id)
    if (kind === null) throw new ApiError('InvalidID', `The ID '${id}' is not valid`)
    if (kind === 'security-group-rule') await checkRule(tx, view, id, account)
    else if (kind === 'peering') await checkPeering(tx, id, account)
    else {
      const [record] = await namedInStore(tx, kind, [id], account)
      if (record?.account !== account) throw notFound(kind, [id])
    }
    owners.push({ kind, id, account })
  }
  return owners
}

/** Those of the requester; of one with a peer cloud, of the side that is here. */
async function checkPeering(tx: Transaction, id: string, account: string): Promise<void> {
  const { requester, remote } = await peeringOf(tx, id, account)
  if (requester.account === account || remote !== undefined) return
  throw unsupported(`A tag of the accepter on the peering ${id}`)
}

/** A rule is a part of its group: that this is there and has it is the condition. */
async function checkRule(tx: Transaction, view: View, id: string, account: string): Promise<void> {
  const holder = groupOfRule(view, account, id)
  const group = holder === null ? null : await tx.get('security-group', holder.id)
  if (group?.rules.some((rule) => rule.id === id) !== true) {
    throw notFound('security-group-rule', [id])
  }
}

/** No tags: all go. A tag without a value goes whatever its value is, else only with that one. */
function deletion(tags: readonly Tag[] | undefined): (key: string, value: string) => boolean {
  if (tags === undefined || tags.length === 0) return (key) => !isSystemTag(key)
  for (const { Key: key = '' } of tags) checkKey(key)
  return (key, value) =>
    tags.some((tag) => tag.Key === key && (tag.Value === undefined || tag.Value === value))
}

function cursorOf(tag: TagDescription): string {
  return `${tag.ResourceId ?? ''} ${tag.Key ?? ''}`
}
