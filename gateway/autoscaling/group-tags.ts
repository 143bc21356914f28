// Tags of Auto Scaling groups: kept with the group, and given to the instances that it launches.

import type { Filter, Tag, TagDescription } from '@aws-sdk/client-auto-scaling'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingHandlers } from '../aws/handlers.ts'
import { compareText } from '../ec2/paging.ts'
import type { ScalingGroupRecord, ScalingTag } from '../store/scaling-records.ts'
import type { Transaction } from '../store/state.ts'
import { invalid } from './errors.ts'
import { groupKey, putGroup, type ScalingParts } from './groups-kept.ts'
import { pageOf } from './paging.ts'

type TagHandlers = Required<
  Pick<AutoScalingHandlers, 'CreateOrUpdateTags' | 'DeleteTags' | 'DescribeTags'>
>

/** Auto Scaling API reference, Tag; user guide, "Tag restrictions". */
const TYPE = 'auto-scaling-group'
const MAX_TAGS = 50
const MAX_KEY = 128
const MAX_VALUE = 256

/** Of the group that the request makes; a ResourceId, if there is one, must be its name. */
export function parseTags(name: string, tags: readonly Tag[] | undefined): ScalingTag[] {
  const parsed = (tags ?? []).map((tag) => parseTag(tag, name))
  return merged([], parsed)
}

export function tagHandlers({ state }: ScalingParts): TagHandlers {
  return {
    CreateOrUpdateTags: async ({ caller: { account } }, { Tags = [] }) => {
      await state.update(async (tx) => {
        for (const [name, tags] of byGroup(Tags)) {
          const group = await groupTagged(tx, account, name)
          const parsed = tags.map((tag) => parseTag(tag, name))
          await putGroup(tx, group, { tags: merged(group.tags, parsed) })
        }
      })
      return {}
    },

    DeleteTags: async ({ caller: { account } }, { Tags = [] }) => {
      await state.update(async (tx) => {
        for (const [name, tags] of byGroup(Tags)) {
          const group = await groupTagged(tx, account, name)
          const goes = ({ key, value }: ScalingTag): boolean =>
            tags.some((tag) => tag.Key === key && (tag.Value ?? value) === value)
          await putGroup(tx, group, { tags: group.tags.filter((tag) => !goes(tag)) })
        }
      })
      return {}
    },

    DescribeTags: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const all = view.by('scaling-group', 'account', account).flatMap(tagsShown)
      const tests = (input.Filters ?? []).map(testOf)
      const found = all.filter((one) => tests.every((test) => test(one)))
      const cursor = (one: TagDescription): string => `${one.ResourceId} ${one.Key}`
      const { items, nextToken } = pageOf(input, found, cursor)
      return { Tags: [...items], NextToken: nextToken }
    },
  }
}

export function tagsShown({ name, tags }: ScalingGroupRecord): TagDescription[] {
  return tags.map(({ key, value, propagate }) => ({
    ResourceId: name,
    ResourceType: TYPE,
    Key: key,
    Value: value,
    PropagateAtLaunch: propagate,
  }))
}

function byGroup(tags: readonly Tag[]): Map<string, Tag[]> {
  const found = new Map<string, Tag[]>()
  for (const tag of tags) {
    const name = tag.ResourceId ?? ''
    if (name === '') throw invalid('A tag must name the AutoScalingGroup that it is for.')
    found.set(name, [...(found.get(name) ?? []), tag])
  }
  return found
}

async function groupTagged(
  tx: Transaction,
  account: string,
  name: string,
): Promise<ScalingGroupRecord> {
  const group = await tx.get('scaling-group', ...groupKey(account, name))
  if (group !== null) return group
  throw invalid(
    `AutoScalingGroup name not found - AutoScalingGroup '${name.slice(0, 255)}' not found`,
  )
}

function parseTag(
  { ResourceId, ResourceType = TYPE, Key: key = '', Value: value = '', PropagateAtLaunch }: Tag,
  name: string,
): ScalingTag {
  if (ResourceType !== TYPE) throw invalid(`Invalid resource type: ${ResourceType.slice(0, 100)}`)
  if ((ResourceId ?? name) !== name) {
    throw invalid('The ResourceId of a tag must be the name of its AutoScalingGroup.')
  }
  if (key === '' || [...key].length > MAX_KEY || [...value].length > MAX_VALUE) {
    throw invalid(
      `A tag has a key of 1 to ${MAX_KEY} and a value of up to ${MAX_VALUE} characters.`,
    )
  }
  if (/^aws:/i.test(key)) {
    throw invalid("Tag keys starting with 'aws:' are reserved for internal use")
  }
  return { key, value, propagate: PropagateAtLaunch === true }
}

function merged(before: readonly ScalingTag[], now: readonly ScalingTag[]): ScalingTag[] {
  const all = new Map([...before, ...now].map((tag) => [tag.key, tag]))
  if (all.size > MAX_TAGS) {
    throw new ApiError('LimitExceeded', `An AutoScalingGroup has at most ${MAX_TAGS} tags.`)
  }
  return [...all.values()].sort((a, b) => compareText(a.key, b.key))
}

function testOf({ Name = '', Values = [] }: Filter): (tag: TagDescription) => boolean {
  switch (Name) {
    case 'auto-scaling-group':
      return (tag) => Values.includes(tag.ResourceId ?? '')
    case 'key':
      return (tag) => Values.includes(tag.Key ?? '')
    case 'value':
      return (tag) => Values.includes(tag.Value ?? '')
    case 'propagate-at-launch':
      return (tag) => Values.map((one) => one.toLowerCase()).includes(`${tag.PropagateAtLaunch}`)
    default:
      throw invalid(`Invalid filter name: ${Name.slice(0, 100)}`)
  }
}
