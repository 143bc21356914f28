// DescribeSecurityGroupRules, DescribeSecurityGroupReferences, DescribeStaleSecurityGroups.

import type {
  SecurityGroupReference,
  SecurityGroupRule,
  StaleIpPermission,
  StaleSecurityGroup,
} from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { SecurityGroupRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { matching } from './filters.ts'
import { RULES } from './group-filters.ts'
import { ruleShown, staleReference } from './group-shape.ts'
import { checkIds, namedInView, notFound } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'

type QueryHandlers = Required<
  Pick<
    Ec2Handlers,
    'DescribeSecurityGroupReferences' | 'DescribeSecurityGroupRules' | 'DescribeStaleSecurityGroups'
  >
>

/** EC2 shows at most so many stale groups a page. */
const MAX_STALE = 255

export function groupRuleQueryHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): QueryHandlers {
  return {
    DescribeSecurityGroupRules: async (context, input) => {
      const view = await state.fresh()
      const ids = new Set(checkIds('security-group-rule', input.SecurityGroupRuleIds ?? []))
      const shown = view
        .by('security-group', 'account', context.caller.account)
        .flatMap((group) =>
          group.rules
            .filter((rule) => ids.size === 0 || ids.has(rule.id))
            .map((rule) => ruleShown(view, region, group, rule)),
        )
      const there = new Set(shown.map((rule) => rule.SecurityGroupRuleId))
      const missing = [...ids].filter((id) => !there.has(id))
      if (missing.length > 0) throw notFound('security-group-rule', missing)
      endDryRun(input)
      const found = matching(shown, input.Filters, RULES)
      const cursor = (rule: SecurityGroupRule): string => rule.SecurityGroupRuleId ?? ''
      const action = 'DescribeSecurityGroupRules'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { SecurityGroupRules: [...items], NextToken: nextToken }
    },

    DescribeSecurityGroupReferences: async ({ caller }, input) => {
      const view = await state.fresh()
      const ids = required('GroupId', input.GroupId)
      const groups = namedInView(view, 'security-group', ids, caller.account)
      endDryRun(input)
      const references = groups.flatMap((group) => referencesOf(view, group))
      return { SecurityGroupReferenceSet: references }
    },

    DescribeStaleSecurityGroups: async (context, input) => {
      const view = await state.fresh()
      const vpcId = required('VpcId', input.VpcId)
      const [vpc] = namedInView(view, 'vpc', [vpcId], context.caller.account)
      endDryRun(input)
      const stale = view
        .by('security-group', 'vpc', vpc?.id ?? '')
        .map((group) => staleOf(view, group))
        .filter((one) => one !== null)
      const cursor = (group: StaleSecurityGroup): string => group.GroupId ?? ''
      const action = 'DescribeStaleSecurityGroups'
      const { items, nextToken } = pageOf(context, action, input, stale, cursor, MAX_STALE)
      return { StaleSecurityGroupSet: [...items], NextToken: nextToken }
    },
  }
}

/** The VPCs at the other end of a peering whose groups have rules that name the group. */
function referencesOf(view: View, group: SecurityGroupRecord): SecurityGroupReference[] {
  return view.all('peering').flatMap(({ id, state, requester, accepter }) => {
    const ends = [requester.vpc, accepter.vpc]
    const other = ends.find((vpc) => vpc !== group.vpc)
    if (state !== 'active' || other === undefined || !ends.includes(group.vpc)) return []
    const isNamed = view
      .by('security-group', 'vpc', other)
      .some((one) => one.rules.some((rule) => rule.group === group.id))
    if (!isNamed) return []
    return [{ GroupId: group.id, ReferencingVpcId: other, VpcPeeringConnectionId: id }]
  })
}

function staleOf(view: View, group: SecurityGroupRecord): StaleSecurityGroup | null {
  const stale = (egress: boolean): StaleIpPermission[] =>
    group.rules
      .filter((rule) => rule.egress === egress)
      .flatMap((rule) => {
        const pair = staleReference(view, group, rule)
        if (pair === null) return []
        const { protocol: IpProtocol, fromPort: FromPort, toPort: ToPort } = rule
        return [{ IpProtocol, FromPort, ToPort, UserIdGroupPairs: [pair] }]
      })
  const ingress = stale(false)
  const egress = stale(true)
  if (ingress.length + egress.length === 0) return null
  return {
    GroupId: group.id,
    GroupName: group.name,
    Description: group.description,
    VpcId: group.vpc,
    StaleIpPermissions: ingress,
    StaleIpPermissionsEgress: egress,
  }
}
