// Rules of security groups: those that a group is born with, which of two are the same, how many
// a group may have.

import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { RulePeer, SecurityGroupRecord, SecurityGroupRule } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { randomId } from './ids.ts'

/**
 * Of each direction and family. EC2's quota is 60 and at most 1000; here it is what EC2 may raise
 * it to.
 */
const MAX_RULES = 1_000

/** A record has at most 1 MiB. As many rules as there may be fit with short descriptions. */
const MAX_RULES_BYTES = 1_000_000
const LIMIT_EXCEEDED = 'RulesPerSecurityGroupLimitExceeded'

export const NOBODY: RulePeer = { ipv4: '', ipv6: '', group: '', prefixList: '' }

/** Those of a VPC's default group: all from its own members comes in, everything goes out. */
export function defaultGroupRules(
  groupId: string,
  randomHex: RandomHex,
  hasIpv6: boolean,
): SecurityGroupRule[] {
  return [
    ruleForAll(randomHex, false, { ...NOBODY, group: groupId }),
    ...newGroupRules(randomHex, hasIpv6),
  ]
}

/** Those of a group that somebody makes: nothing comes in, everything goes out. */
export function newGroupRules(randomHex: RandomHex, hasIpv6: boolean): SecurityGroupRule[] {
  return [
    ruleForAll(randomHex, true, { ...NOBODY, ipv4: '0.0.0.0/0' }),
    ...(hasIpv6 ? [ruleForAll(randomHex, true, { ...NOBODY, ipv6: '::/0' })] : []),
  ]
}

/** What a rule says, without its name and description. */
export type RuleBody = Omit<SecurityGroupRule, 'id' | 'description'>

export function isSameRule(a: RuleBody, b: RuleBody): boolean {
  return ruleText(a) === ruleText(b)
}

/** Tells rules of one group apart. */
export function ruleText(rule: RuleBody): string {
  const { egress, protocol, fromPort, toPort, ipv4, ipv6, group, prefixList } = rule
  return JSON.stringify([egress, protocol, fromPort, toPort, ipv4, ipv6, group, prefixList])
}

/** The account's group that has the rule. */
export function groupOfRule(
  view: View,
  account: string,
  ruleId: string,
): SecurityGroupRecord | null {
  const groups = view.by('security-group', 'account', account)
  return groups.find((group) => group.rules.some((rule) => rule.id === ruleId)) ?? null
}

/**
 * Throws RulesPerSecurityGroupLimitExceeded. A rule that names a group counts for both families, a
 * prefix list for as many entries as it may have (VPC user guide, "Quotas").
 */
export async function checkRuleCount(
  tx: Transaction,
  { id, rules }: Pick<SecurityGroupRecord, 'id' | 'rules'>,
): Promise<void> {
  if (Buffer.byteLength(JSON.stringify(rules)) > MAX_RULES_BYTES) {
    const text = `The rules of the security group '${id}' with their descriptions are too long.`
    throw new ApiError(LIMIT_EXCEEDED, text)
  }
  const counts = new Map<string, number>()
  for (const rule of rules) {
    const list = rule.prefixList === '' ? null : await tx.get('prefix-list', rule.prefixList)
    for (const family of familiesOf(rule, list?.family)) {
      const which = `${rule.egress ? 'outbound' : 'inbound'} IPv${family}`
      counts.set(which, (counts.get(which) ?? 0) + (list?.maxEntries ?? 1))
    }
  }
  for (const [which, count] of counts) {
    if (count <= MAX_RULES) continue
    const text = `The security group '${id}' would have ${count} ${which} rules; at most`
    throw new ApiError(LIMIT_EXCEEDED, `${text} ${MAX_RULES} are allowed.`)
  }
}

function familiesOf(rule: RulePeer, listFamily: 4 | 6 | undefined): readonly (4 | 6)[] {
  if (rule.ipv4 !== '') return [4]
  if (rule.ipv6 !== '') return [6]
  return listFamily === undefined ? [4, 6] : [listFamily]
}

export function newRuleId(randomHex: RandomHex): string {
  return randomId(randomHex, 'sgr')
}

function ruleForAll(randomHex: RandomHex, egress: boolean, peer: RulePeer): SecurityGroupRule {
  return {
    id: newRuleId(randomHex),
    egress,
    protocol: '-1',
    fromPort: -1,
    toPort: -1,
    description: '',
    ...peer,
  }
}
