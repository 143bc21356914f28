// DescribeSecurityGroups: the default group of every VPC, with EC2's default rules: everything from
// the group itself comes in, everything goes out.

import type { IpPermission, SecurityGroup } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { SecurityGroupRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { type Field, type Filterable, matching } from './filters.ts'
import { endDryRun } from './input.ts'
import { pageOf } from './paging.ts'
import { tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type GroupHandlers = Required<Pick<Ec2Handlers, 'DescribeSecurityGroups'>>

const FILTERABLE: Filterable<SecurityGroup> = {
  fields: {
    ...ruleFields('ip-permission.', (group) => group.IpPermissions),
    ...ruleFields('egress.ip-permission.', (group) => group.IpPermissionsEgress),
    description: (group) => group.Description,
    'group-id': (group) => group.GroupId,
    'group-name': (group) => group.GroupName,
    'owner-id': (group) => group.OwnerId,
    'vpc-id': (group) => group.VpcId,
  },
  tags: (group) => group.Tags,
}

export function securityGroupHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): GroupHandlers {
  return {
    DescribeSecurityGroups: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const groups = ownedOrNamed(view, 'security-group', input.GroupIds, account).filter((group) =>
        isNamed(group, input.GroupNames),
      )
      checkNames(groups, input.GroupNames)
      endDryRun(input)
      const shown = groups.map((group) => groupOf(view, region, group))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (group: SecurityGroup): string => group.GroupId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeSecurityGroups', input, found, cursor)
      return { SecurityGroups: [...items], NextToken: nextToken }
    },
  }
}

function isNamed(group: SecurityGroupRecord, names: readonly string[] | undefined): boolean {
  return names === undefined || names.length === 0 || names.includes(group.name)
}

function checkNames(
  groups: readonly SecurityGroupRecord[],
  names: readonly string[] | undefined,
): void {
  const missing = names?.find((name) => !groups.some((group) => group.name === name))
  if (missing === undefined) return
  throw new ApiError('InvalidGroup.NotFound', `The security group '${missing}' does not exist`)
}

function ruleFields(
  prefix: string,
  rulesOf: (group: SecurityGroup) => readonly IpPermission[] | undefined,
): Record<string, Field<SecurityGroup>> {
  const values: Record<string, (rule: IpPermission) => readonly (string | number | undefined)[]> = {
    cidr: (rule) => rule.IpRanges?.map((range) => range.CidrIp) ?? [],
    'ipv6-cidr': (rule) => rule.Ipv6Ranges?.map((range) => range.CidrIpv6) ?? [],
    'prefix-list-id': (rule) => rule.PrefixListIds?.map((list) => list.PrefixListId) ?? [],
    'from-port': (rule) => [rule.FromPort],
    'to-port': (rule) => [rule.ToPort],
    protocol: (rule) => [rule.IpProtocol],
    'group-id': (rule) => rule.UserIdGroupPairs?.map((pair) => pair.GroupId) ?? [],
    'group-name': (rule) => rule.UserIdGroupPairs?.map((pair) => pair.GroupName) ?? [],
    'user-id': (rule) => rule.UserIdGroupPairs?.map((pair) => pair.UserId) ?? [],
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, valuesOf]) => [
      `${prefix}${name}`,
      (group: SecurityGroup) => rulesOf(group)?.flatMap(valuesOf),
    ]),
  )
}

function groupOf(view: View, region: string, group: SecurityGroupRecord): SecurityGroup {
  const all = { IpProtocol: '-1', PrefixListIds: [] }
  return {
    GroupId: group.id,
    GroupName: group.name,
    Description: group.description,
    OwnerId: group.account,
    VpcId: group.vpc,
    SecurityGroupArn: `arn:aws:ec2:${region}:${group.account}:security-group/${group.id}`,
    IpPermissions: [
      {
        ...all,
        IpRanges: [],
        Ipv6Ranges: [],
        UserIdGroupPairs: [{ GroupId: group.id, UserId: group.account }],
      },
    ],
    IpPermissionsEgress: [
      {
        ...all,
        IpRanges: [{ CidrIp: '0.0.0.0/0' }],
        Ipv6Ranges: [{ CidrIpv6: '::/0' }],
        UserIdGroupPairs: [],
      },
    ],
    Tags: tagList(view, group.id),
  }
}
