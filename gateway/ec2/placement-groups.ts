// CreatePlacementGroup, DescribePlacementGroups and DeletePlacementGroup. What a group means for a
// launch: topology/placement-groups.ts.

import type { PlacementGroup } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { PlacementGroupRecord } from '../store/compute-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { membersOf } from './capacity.ts'
import type { NetworkParts } from './create-vpc.ts'
import { type Filterable, matching } from './filters.ts'
import { newId } from './ids.ts'
import { badValue, endDryRun, isAsked, refuseUnknown, required } from './input.ts'
import { groupNamed, groupNameKey, unknownGroup } from './placement-wish.ts'
import { checkQuota } from './quotas.ts'
import { removeUnused } from './removal.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type GroupHandlers = Required<
  Pick<Ec2Handlers, 'CreatePlacementGroup' | 'DeletePlacementGroup' | 'DescribePlacementGroups'>
>
type Shape = Pick<PlacementGroupRecord, 'name' | 'strategy' | 'level' | 'partitions'>

/** EC2 API reference, CreatePlacementGroup: up to 255 ASCII characters. */
const NAME = /^[ -~]{1,255}$/
const MAX_PARTITIONS = 7
const DEFAULT_PARTITIONS = 2
const CREATE_KNOWN = new Set([
  'GroupName',
  'Strategy',
  'SpreadLevel',
  'PartitionCount',
  'TagSpecifications',
  'DryRun',
])

const FILTERABLE: Filterable<PlacementGroup> = {
  fields: {
    'group-arn': (group) => group.GroupArn,
    'group-name': (group) => group.GroupName,
    'spread-level': (group) => group.SpreadLevel,
    state: (group) => group.State,
    strategy: (group) => group.Strategy,
  },
  tags: (group) => group.Tags,
}

export function placementGroupHandlers({ state, randomHex, region }: NetworkParts): GroupHandlers {
  return {
    CreatePlacementGroup: async ({ caller: { account }, nowMs }, input) => {
      const shape = parseShape(input)
      const tags = parseTagSpecifications(input.TagSpecifications, ['placement-group'])
      const record = await state.update(async (tx) => {
        await checkNameIsFree(tx, account, shape.name)
        await checkQuota(tx, state, account, 'placement-groups')
        endDryRun(input)
        const id = await newId(tx, randomHex, 'placement-group')
        const made = { id, account, ...shape, launches: 0, createdAtMs: nowMs }
        await tx.put('placement-group', [id], made)
        await tx.put('name', groupNameKey(account, shape.name), { name: shape.name, holder: id })
        const owner = { kind: 'placement-group', id, account } as const
        await addTags(tx, owner, tags.get('placement-group') ?? new Map())
        return made
      })
      return { PlacementGroup: groupOf(await state.fresh(), region, record) }
    },

    DescribePlacementGroups: async ({ caller: { account } }, input) => {
      const view = await state.fresh()
      const named = ownedOrNamed(view, 'placement-group', input.GroupIds, account)
      const names = new Set(view.by('placement-group', 'account', account).map(({ name }) => name))
      const unknown = input.GroupNames?.find((name) => !names.has(name))
      if (unknown !== undefined) throw unknownGroup(unknown)
      endDryRun(input)
      const shown = named
        .filter(({ name }) => isAsked(input.GroupNames, name))
        .map((group) => groupOf(view, region, group))
      return { PlacementGroups: matching(shown, input.Filters, FILTERABLE) }
    },

    DeletePlacementGroup: async ({ caller: { account } }, input) => {
      const name = required('GroupName', input.GroupName)
      const { id } = await groupInView(await state.fresh(), account, name)
      await removeUnused({ state, randomHex }, input, {
        kind: 'placement-group',
        id,
        check: (view) => checkUnused(view, account, id, name),
        remove: async (tx) => {
          const group = await groupNamed(tx, account, name)
          await tx.delete('tags', group.id)
          await tx.delete('name', ...groupNameKey(account, name))
          await tx.delete('placement-group', group.id)
        },
      })
      return {}
    },
  }
}

function parseShape(input: Ec2Inputs['CreatePlacementGroup']): Shape {
  const name = required('GroupName', input.GroupName)
  if (!NAME.test(name)) {
    throw badValue('groupName', name.slice(0, 255), 'A name is 1 to 255 ASCII characters.')
  }
  refuseUnknown(input, CREATE_KNOWN, new Map())
  const strategy = input.Strategy ?? 'cluster'
  const { PartitionCount: partitions, SpreadLevel: level } = input
  if (strategy !== 'cluster' && strategy !== 'spread' && strategy !== 'partition') {
    throw badValue('strategy', strategy, 'Expecting cluster, spread or partition.')
  }
  if (partitions !== undefined && strategy !== 'partition') {
    const text = `PartitionCount goes with the strategy partition only, not with ${strategy}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  if (level !== undefined && strategy !== 'spread') {
    const text = `SpreadLevel goes with the strategy spread only, not with ${strategy}`
    throw new ApiError('InvalidParameterCombination', text)
  }
  const count = partitions ?? DEFAULT_PARTITIONS
  if (!(Number.isInteger(count) && count >= 1 && count <= MAX_PARTITIONS)) {
    throw badValue('partitionCount', count, `Expecting 1 to ${MAX_PARTITIONS}.`)
  }
  // A zone is one rack here: scripts that spread over hosts of a zone mean the host.
  const shape = { name, strategy, level: level ?? 'host' } as const
  return { ...shape, partitions: strategy === 'partition' ? count : 0 }
}

async function checkNameIsFree(tx: Transaction, account: string, name: string): Promise<void> {
  if ((await tx.get('name', ...groupNameKey(account, name))) === null) return
  const text = `The placement group '${name}' already exists.`
  throw new ApiError('InvalidPlacementGroup.Duplicate', text)
}

function groupInView(view: View, account: string, name: string): PlacementGroupRecord {
  const groups = view.by('placement-group', 'account', account)
  const found = groups.find((group) => group.name === name)
  if (found === undefined) throw unknownGroup(name)
  return found
}

function checkUnused(view: View, account: string, id: string, name: string): void {
  const [first] = membersOf(view, { id, account })
  if (first === undefined) return
  const text = `The placement group '${name}' is in use by ${first.id} and may not be deleted.`
  throw new ApiError('InvalidPlacementGroup.InUse', text)
}

function groupOf(view: View, region: string, group: PlacementGroupRecord): PlacementGroup {
  const { id, account, name, strategy, level, partitions } = group
  return {
    GroupId: id,
    GroupName: name,
    GroupArn: `arn:aws:ec2:${region}:${account}:placement-group/${name}`,
    State: 'available',
    Strategy: strategy,
    SpreadLevel: strategy === 'spread' ? level : undefined,
    PartitionCount: strategy === 'partition' ? partitions : undefined,
    Tags: tagList(view, id),
  }
}
