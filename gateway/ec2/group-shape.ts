// Security groups and their rules as the API shows them.

import type {
  IpPermission,
  ReferencedSecurityGroup,
  SecurityGroup,
  SecurityGroupRule,
  UserIdGroupPair,
} from '@aws-sdk/client-ec2'
import { readFarGroup } from '../peering/far-guests.ts'
import type {
  SecurityGroupRule as RuleRecord,
  SecurityGroupRecord,
} from '../store/network-records.ts'
import type { View } from '../store/state.ts'
import { hasPorts, isIcmp } from './protocols.ts'
import { peeringBetween } from './rule-peers.ts'
import { tagList } from './tagging.ts'

export function groupArn(region: string, { account, id }: SecurityGroupRecord): string {
  return `arn:aws:ec2:${region}:${account}:security-group/${id}`
}

export function groupOf(view: View, region: string, group: SecurityGroupRecord): SecurityGroup {
  return {
    GroupId: group.id,
    GroupName: group.name,
    Description: group.description,
    OwnerId: group.account,
    VpcId: group.vpc,
    SecurityGroupArn: groupArn(region, group),
    IpPermissions: permissionsShown(view, group, false),
    IpPermissionsEgress: permissionsShown(view, group, true),
    Tags: tagList(view, group.id),
  }
}

export function ruleShown(
  view: View,
  region: string,
  group: SecurityGroupRecord,
  rule: RuleRecord,
): SecurityGroupRule {
  const { account } = group
  return {
    SecurityGroupRuleId: rule.id,
    SecurityGroupRuleArn: `arn:aws:ec2:${region}:${account}:security-group-rule/${rule.id}`,
    GroupId: group.id,
    GroupOwnerId: account,
    IsEgress: rule.egress,
    IpProtocol: rule.protocol,
    FromPort: rule.fromPort,
    ToPort: rule.toPort,
    CidrIpv4: orAbsent(rule.ipv4),
    CidrIpv6: orAbsent(rule.ipv6),
    PrefixListId: orAbsent(rule.prefixList),
    ReferencedGroupInfo: rule.group === '' ? undefined : referenceOf(view, group, rule.group),
    Description: orAbsent(rule.description),
    Tags: tagList(view, rule.id),
  }
}

/** One permission for all rules of a protocol and its ports, in the order of the rules. */
export function permissionsOfRules(
  view: View,
  group: SecurityGroupRecord,
  rules: readonly RuleRecord[],
): IpPermission[] {
  const byPorts = Map.groupBy(rules, (rule) =>
    [rule.protocol, rule.fromPort, rule.toPort].join(' '),
  )
  return [...byPorts.values()].flatMap((same) => {
    const [first] = same
    if (first === undefined) return []
    const isNumbered = hasPorts(first.protocol) || isIcmp(first.protocol)
    const described = (rule: RuleRecord): { Description: string | undefined } => ({
      Description: orAbsent(rule.description),
    })
    return {
      IpProtocol: first.protocol,
      FromPort: isNumbered ? first.fromPort : undefined,
      ToPort: isNumbered ? first.toPort : undefined,
      IpRanges: same
        .filter((rule) => rule.ipv4 !== '')
        .map((rule) => ({ CidrIp: rule.ipv4, ...described(rule) })),
      Ipv6Ranges: same
        .filter((rule) => rule.ipv6 !== '')
        .map((rule) => ({ CidrIpv6: rule.ipv6, ...described(rule) })),
      PrefixListIds: same
        .filter((rule) => rule.prefixList !== '')
        .map((rule) => ({ PrefixListId: rule.prefixList, ...described(rule) })),
      UserIdGroupPairs: same
        .filter((rule) => rule.group !== '')
        .map((rule) => ({ ...referenceOf(view, group, rule.group), ...described(rule) })),
    }
  })
}

/** Whom a rule names when that is not there for the group any more (stale), else null. */
export function staleReference(
  view: View,
  group: SecurityGroupRecord,
  rule: RuleRecord,
): UserIdGroupPair | null {
  if (rule.group === '') return null
  if (readFarGroup(rule.group) !== null) {
    const pair = referenceOf(view, group, rule.group)
    return pair.PeeringStatus === 'active' ? null : pair
  }
  const other = view.get('security-group', rule.group)
  if (other?.vpc === group.vpc) return null
  const pair = referenceOf(view, group, rule.group)
  return other !== null && pair.PeeringStatus === 'active' ? null : pair
}

function permissionsShown(view: View, group: SecurityGroupRecord, egress: boolean): IpPermission[] {
  const rules = group.rules.filter((rule) => rule.egress === egress)
  return permissionsOfRules(view, group, rules)
}

/** EC2 tells VPC and peering only of groups in other VPCs. */
function referenceOf(
  view: View,
  group: SecurityGroupRecord,
  id: string,
): ReferencedSecurityGroup & UserIdGroupPair {
  const far = readFarGroup(id)
  if (far !== null) return farReference(view, far)
  const other = view.get('security-group', id)
  if (other === null) return { GroupId: id, PeeringStatus: 'deleted' }
  const seen = { GroupId: id, UserId: other.account }
  if (other.vpc === group.vpc) return seen
  const peering = peeringBetween(view, group.vpc, other.vpc)
  return {
    ...seen,
    VpcId: other.vpc,
    VpcPeeringConnectionId: peering?.id,
    PeeringStatus: peering?.state ?? 'deleted',
  }
}

/** A group of a VPC in a peer cloud. */
function farReference(
  view: View,
  { peering: id, group }: { readonly peering: string; readonly group: string },
): ReferencedSecurityGroup & UserIdGroupPair {
  const peering = view.get('peering', id)
  return {
    GroupId: group,
    UserId: peering?.remote?.account,
    VpcId: peering?.remote?.vpc,
    VpcPeeringConnectionId: id,
    PeeringStatus: peering?.state ?? 'deleted',
  }
}

function orAbsent(text: string): string | undefined {
  return text === '' ? undefined : text
}
