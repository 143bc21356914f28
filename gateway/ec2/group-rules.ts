// The rules that a security group is born with, and the ids of rules.

import type { RandomHex } from '../../common/clock.ts'
import type { RulePeer, SecurityGroupRule } from '../store/network-records.ts'
import { randomId } from './ids.ts'

const NOBODY: RulePeer = { ipv4: '', ipv6: '', group: '', prefixList: '' }

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
