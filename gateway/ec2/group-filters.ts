// By what DescribeSecurityGroups and its relatives filter.

import type {
  IpPermission,
  SecurityGroup,
  SecurityGroupForVpc,
  SecurityGroupRule,
} from '@aws-sdk/client-ec2'
import type { View } from '../store/state.ts'
import type { Field, Filterable } from './filters.ts'

export const GROUPS_FOR_VPC: Filterable<SecurityGroupForVpc> = {
  fields: {
    description: (group) => group.Description,
    'group-id': (group) => group.GroupId,
    'group-name': (group) => group.GroupName,
    'owner-id': (group) => group.OwnerId,
    'primary-vpc-id': (group) => group.PrimaryVpcId,
  },
  tags: (group) => group.Tags,
}

export const RULES: Filterable<SecurityGroupRule> = {
  fields: {
    'group-id': (rule) => rule.GroupId,
    'security-group-rule-id': (rule) => rule.SecurityGroupRuleId,
  },
  tags: (rule) => rule.Tags,
}

export function groupFilters(view: View): Filterable<SecurityGroup> {
  return {
    fields: {
      ...ruleFields(view, 'ip-permission.', (group) => group.IpPermissions),
      ...ruleFields(view, 'egress.ip-permission.', (group) => group.IpPermissionsEgress),
      description: (group) => group.Description,
      'group-id': (group) => group.GroupId,
      'group-name': (group) => group.GroupName,
      'owner-id': (group) => group.OwnerId,
      'vpc-id': (group) => group.VpcId,
    },
    tags: (group) => group.Tags,
  }
}

function ruleFields(
  view: View,
  prefix: string,
  rulesOf: (group: SecurityGroup) => readonly IpPermission[] | undefined,
): Record<string, Field<SecurityGroup>> {
  const nameOf = (id: string | undefined): string | undefined =>
    view.get('security-group', id ?? '')?.name
  const values: Record<string, (rule: IpPermission) => readonly (string | number | undefined)[]> = {
    cidr: (rule) => rule.IpRanges?.map((range) => range.CidrIp) ?? [],
    'ipv6-cidr': (rule) => rule.Ipv6Ranges?.map((range) => range.CidrIpv6) ?? [],
    'prefix-list-id': (rule) => rule.PrefixListIds?.map((list) => list.PrefixListId) ?? [],
    'from-port': (rule) => [rule.FromPort],
    'to-port': (rule) => [rule.ToPort],
    protocol: (rule) => [rule.IpProtocol],
    'group-id': (rule) => rule.UserIdGroupPairs?.map((pair) => pair.GroupId) ?? [],
    'group-name': (rule) => rule.UserIdGroupPairs?.map((pair) => nameOf(pair.GroupId)) ?? [],
    'user-id': (rule) => rule.UserIdGroupPairs?.map((pair) => pair.UserId) ?? [],
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, valuesOf]) => [
      `${prefix}${name}`,
      (group: SecurityGroup) => rulesOf(group)?.flatMap(valuesOf),
    ]),
  )
}
