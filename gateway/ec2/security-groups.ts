// CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups, GetSecurityGroupsForVpc. A name
// is held by one group of its VPC: the `name` record makes two requests at once meet.

import { createHash } from 'node:crypto'
import type { SecurityGroup, SecurityGroupForVpc } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import type { SecurityGroupRecord, VpcRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { matching } from './filters.ts'
import { GROUPS_FOR_VPC, groupFilters } from './group-filters.ts'
import { newGroupRules } from './group-rules.ts'
import { groupArn, groupOf } from './group-shape.ts'
import { namedInStore, namedInView, newId, notFound } from './ids.ts'
import { badValue, endDryRun, required } from './input.ts'

import { pageOf } from './paging.ts'
import { checkQuota } from './quotas.ts'
import { removeUnused } from './removal.ts'
import { groupByName } from './rule-peers.ts'
import { parseText } from './rule-request.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { DEFAULT_GROUP, holdVpc } from './vpc-records.ts'
import { ownedOrNamed } from './vpcs.ts'

type GroupHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateSecurityGroup'
    | 'DeleteSecurityGroup'
    | 'DescribeSecurityGroups'
    | 'GetSecurityGroupsForVpc'
  >
>

export interface GroupParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly region: string
}

export function securityGroupHandlers(parts: GroupParts): GroupHandlers {
  const { state, region } = parts
  return {
    CreateSecurityGroup: (context, input) => create(parts, context, input),

    DeleteSecurityGroup: async ({ caller }, input) => {
      const group = namedGroup(await state.fresh(), caller.account, input)
      if (group.name === DEFAULT_GROUP) {
        const text = `the specified group: "${group.id}" name: "${group.name}" cannot be deleted by`
        throw new ApiError('CannotDelete', `${text} a user`)
      }
      let removed = group
      await removeUnused(parts, input, {
        kind: 'security-group',
        id: group.id,
        check: (view) => checkUnused(view, group),
        remove: async (tx) => {
          const [now] = await namedInStore(tx, 'security-group', [group.id], caller.account)
          removed = now ?? group
          await tx.delete('tags', removed.id)
          await tx.delete('name', ...nameKey(removed.vpc, removed.name))
          await tx.delete('security-group', removed.id)
        },
      })
      await forgetRuleTags(state, removed)
      return { Return: true, GroupId: group.id }
    },

    DescribeSecurityGroups: async (context, input) => {
      const view = await state.fresh()
      const groups = askedFor(view, context.caller.account, input)
      endDryRun(input)
      const shown = groups.map((group) => groupOf(view, region, group))
      const found = matching(shown, input.Filters, groupFilters(view))
      const cursor = (group: SecurityGroup): string => group.GroupId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeSecurityGroups', input, found, cursor)
      return { SecurityGroups: [...items], NextToken: nextToken }
    },

    GetSecurityGroupsForVpc: async (context, input) => {
      const view = await state.fresh()
      const [vpc] = namedInView(
        view,
        'vpc',
        [required('VpcId', input.VpcId)],
        context.caller.account,
      )
      endDryRun(input)
      const shown = view.by('security-group', 'vpc', vpc?.id ?? '').map((group) => ({
        GroupId: group.id,
        GroupName: group.name,
        Description: group.description,
        OwnerId: group.account,
        PrimaryVpcId: group.vpc,
        Tags: tagList(view, group.id),
      }))
      const found = matching<SecurityGroupForVpc>(shown, input.Filters, GROUPS_FOR_VPC)
      const cursor = (group: SecurityGroupForVpc): string => group.GroupId ?? ''
      const { items, nextToken } = pageOf(context, 'GetSecurityGroupsForVpc', input, found, cursor)
      return { SecurityGroupForVpcs: [...items], NextToken: nextToken }
    },
  }
}

/** The group that a request names by its id or, in the default VPC, by its name. */
export function namedGroup(
  view: View,
  account: string,
  {
    GroupId: id,
    GroupName: name,
  }: { GroupId?: string | undefined; GroupName?: string | undefined },
): SecurityGroupRecord {
  if (id === undefined && name === undefined) {
    const text = 'The request must contain the parameter GroupName or GroupId'
    throw new ApiError('MissingParameter', text)
  }
  if (id !== undefined) {
    const [group] = namedInView(view, 'security-group', [id], account)
    if (group !== undefined && (name === undefined || group.name === name)) return group
    const text = `The security group ${id} is not called '${name ?? ''}'`
    throw new ApiError('InvalidParameterCombination', text)
  }
  return groupByName(view, defaultVpc(view, account).id, name ?? '')
}

async function create(
  { state, randomHex, region }: GroupParts,
  { caller: { account }, nowMs }: CallContext,
  input: Ec2Inputs['CreateSecurityGroup'],
): Promise<Ec2Outputs['CreateSecurityGroup']> {
  const name = nameOf(required('GroupName', input.GroupName))
  const described = required('GroupDescription', input.Description)
  if (described === '') required('GroupDescription', undefined)
  const description = parseText('GroupDescription', described)
  const tags = parseTagSpecifications(input.TagSpecifications, ['security-group'])
  const view = await state.fresh()
  const vpcId = input.VpcId ?? defaultVpc(view, account).id
  const group = await state.update(async (tx) => {
    const [vpc] = await namedInStore(tx, 'vpc', [vpcId], account)
    if (vpc === undefined) throw notFound('vpc', [vpcId])
    if ((await tx.get('name', ...nameKey(vpcId, name))) !== null) {
      const text = `The security group '${name}' already exists for VPC '${vpcId}'`
      throw new ApiError('InvalidGroup.Duplicate', text)
    }
    await checkQuota(tx, state, account, 'security-groups')
    endDryRun(input)
    const id = await newId(tx, randomHex, 'security-group')
    const rules = newGroupRules(randomHex, vpc.ipv6Cidrs.length > 0)
    const times = { createdAtMs: nowMs }
    const record = { id, account, vpc: vpcId, name, description, rules, ...times }
    await holdVpc(tx, vpc)
    await tx.put('name', nameKey(vpcId, name), { name, holder: id })
    await tx.put('security-group', [id], record)
    const given = tags.get('security-group') ?? new Map()
    await addTags(tx, { kind: 'security-group', id, account }, given)
    return record
  })
  const Tags = tagList(await state.fresh(), group.id)
  return { GroupId: group.id, SecurityGroupArn: groupArn(region, group), Tags }
}

/** After the group, without which nobody tags its rules any more. */
async function forgetRuleTags(state: State, group: SecurityGroupRecord): Promise<void> {
  const view = await state.fresh()
  for (const rule of group.rules) {
    if (view.get('tags', rule.id) !== null) await state.update((tx) => tx.delete('tags', rule.id))
  }
}

/** Rules in other VPCs do not hold a group: they become stale, as in EC2. */
function checkUnused(view: View, group: SecurityGroupRecord): void {
  const [user] = view.by('interface', 'securityGroups', group.id)
  const namedBy = view
    .by('security-group', 'vpc', group.vpc)
    .find((one) => one.id !== group.id && one.rules.some((rule) => rule.group === group.id))
  const why =
    user === undefined
      ? namedBy && `a rule of ${namedBy.id} names it`
      : `the network interface ${user.id} is in it`
  if (why === undefined) return
  const text = `resource ${group.id} has a dependent object: ${why}`
  throw new ApiError('DependencyViolation', text)
}

function askedFor(
  view: View,
  account: string,
  { GroupIds: ids, GroupNames: names }: Ec2Inputs['DescribeSecurityGroups'],
): readonly SecurityGroupRecord[] {
  const owned = ownedOrNamed(view, 'security-group', ids, account)
  if (names === undefined || names.length === 0) return owned
  const vpc = defaultVpc(view, account).id
  const named = new Set(names.map((name) => groupByName(view, vpc, name).id))
  return owned.filter((group) => named.has(group.id))
}

function defaultVpc(view: View, account: string): VpcRecord {
  const vpc = view.by('vpc', 'account', account).find((one) => one.isDefault)
  if (vpc !== undefined) return vpc
  throw new ApiError('VPCIdNotSpecified', 'No default VPC for this user')
}

function nameOf(name: string): string {
  if (name === DEFAULT_GROUP) {
    const text = `Cannot use reserved security group name: ${name.slice(0, 255)}`
    throw new ApiError('InvalidGroup.Reserved', text)
  }
  if (name.startsWith('sg-')) {
    throw badValue('GroupName', name.slice(0, 255), 'A name may not be in the format sg-*.')
  }
  if (name.trim() !== '') return parseText('GroupName', name)
  throw badValue('GroupName', name, 'A name has 1 to 255 characters.')
}

/** A name may have a slash: its digest is the key. */
function nameKey(vpc: string, name: string): [string, string, string] {
  return ['security-group', vpc, createHash('sha256').update(name).digest('hex')]
}
