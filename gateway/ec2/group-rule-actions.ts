// Authorize, revoke and modify rules of security groups, and their descriptions. A group's rules
// are one record: who changes them has read them in the same transaction.

import type { RevokedSecurityGroupRule } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs, Ec2Outputs } from '../aws/handlers.ts'
import { readFarGroup } from '../peering/far-guests.ts'
import type { SecurityGroupRecord, SecurityGroupRule } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { checkRuleCount, isSameRule, newRuleId, type RuleBody, ruleText } from './group-rules.ts'
import { permissionsOfRules, ruleShown } from './group-shape.ts'
import { checkIds, namedInStore, notFound } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { peerFor, peerNamed } from './rule-peers.ts'
import {
  type FlatPermission,
  parsePermissions,
  parseRuleRequest,
  parseText,
  permissionsOf,
  type RuleWish,
} from './rule-request.ts'
import { type GroupParts, namedGroup } from './security-groups.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'

type RuleHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'AuthorizeSecurityGroupEgress'
    | 'AuthorizeSecurityGroupIngress'
    | 'ModifySecurityGroupRules'
    | 'RevokeSecurityGroupEgress'
    | 'RevokeSecurityGroupIngress'
    | 'UpdateSecurityGroupRuleDescriptionsEgress'
    | 'UpdateSecurityGroupRuleDescriptionsIngress'
  >
>

export function groupRuleHandlers(parts: GroupParts): RuleHandlers {
  return {
    AuthorizeSecurityGroupIngress: (context, input) => authorize(parts, context, input, false),
    AuthorizeSecurityGroupEgress: (context, input) => authorize(parts, context, input, true),
    RevokeSecurityGroupIngress: (context, input) => revoke(parts, context, input, false),
    RevokeSecurityGroupEgress: (context, input) => revoke(parts, context, input, true),
    ModifySecurityGroupRules: (context, input) => modify(parts, context, input),
    UpdateSecurityGroupRuleDescriptionsIngress: (context, input) =>
      describe(parts, context, input, false),
    UpdateSecurityGroupRuleDescriptionsEgress: (context, input) =>
      describe(parts, context, input, true),
  }
}

async function authorize(
  { state, randomHex, region }: GroupParts,
  { caller: { account } }: CallContext,
  input: Ec2Inputs['AuthorizeSecurityGroupIngress'],
  egress: boolean,
): Promise<Ec2Outputs['AuthorizeSecurityGroupIngress']> {
  const wishes = parsePermissions(permissionsOf(input))
  const specified = parseTagSpecifications(input.TagSpecifications, ['security-group-rule'])
  const tags = specified.get('security-group-rule') ?? new Map<string, string>()
  const view = await state.fresh()
  const { id } = namedGroup(view, account, input)
  const made = await state.update(async (tx) => {
    const group = await groupNow(tx, id, account)
    const added: SecurityGroupRule[] = []
    for (const wish of wishes) {
      const { protocol, fromPort, toPort, description } = wish
      const ports = { egress, protocol, fromPort, toPort }
      const peer = await peerFor(tx, view, group, wish.peer)
      added.push({ id: unusedId(group, added, randomHex), ...ports, description, ...peer })
    }
    checkNew(group, added)
    const changed = { ...group, rules: [...group.rules, ...added] }
    await checkRuleCount(tx, changed)
    endDryRun(input)
    await tx.put('security-group', [id], changed)
    for (const rule of added) {
      await addTags(tx, { kind: 'security-group-rule', id: rule.id, account }, tags)
    }
    return { group: changed, added }
  })
  const after = await state.fresh()
  const shown = made.added.map((rule) => ruleShown(after, region, made.group, rule))
  return { Return: true, SecurityGroupRules: shown }
}

async function revoke(
  { state }: GroupParts,
  { caller: { account } }: CallContext,
  input: Ec2Inputs['RevokeSecurityGroupIngress'],
  egress: boolean,
): Promise<Ec2Outputs['RevokeSecurityGroupIngress']> {
  const ids = checkIds('security-group-rule', input.SecurityGroupRuleIds ?? [])
  const wishes = wishesOf(input, ids.length > 0)
  const view = await state.fresh()
  const { id } = namedGroup(view, account, input)
  const isForgiving = view.get('vpc', view.get('security-group', id)?.vpc ?? '')?.isDefault === true
  const { gone, unknown } = await state.update(async (tx) => {
    const group = await groupNow(tx, id, account)
    const asked = wishes.map((wish) => bodyOf(view, group, egress, wish))
    const matched = group.rules.filter(
      (rule) =>
        (ids.includes(rule.id) && rule.egress === egress) ||
        asked.some((one) => isSameRule(one, rule)),
    )
    const missing = ids.filter((one) => !matched.some((rule) => rule.id === one))
    if (missing.length > 0) throw notFound('security-group-rule', missing)
    const known = new Set(matched.map(ruleText))
    const left = asked.filter((one) => !known.has(ruleText(one)))
    // In a default VPC a rule that is not there is no error (EC2, RevokeSecurityGroupIngress).
    if (left.length > 0 && !isForgiving) throw noSuchRule(group)
    endDryRun(input)
    if (matched.length > 0) {
      const rules = group.rules.filter((rule) => !matched.includes(rule))
      await tx.put('security-group', [id], { ...group, rules })
      for (const rule of matched) await tx.delete('tags', rule.id)
    }
    const nameless = left.map((one) => ({ ...one, id: '', description: '' }))
    return { gone: matched, unknown: permissionsOfRules(view, group, nameless) }
  })
  return {
    Return: true,
    UnknownIpPermissions: unknown.length > 0 ? unknown : undefined,
    RevokedSecurityGroupRules: gone.map((rule) => revokedShown(id, rule)),
  }
}

async function modify(
  { state }: GroupParts,
  { caller: { account } }: CallContext,
  input: Ec2Inputs['ModifySecurityGroupRules'],
): Promise<Ec2Outputs['ModifySecurityGroupRules']> {
  const wishes = new Map<string, RuleWish>()
  for (const update of required('SecurityGroupRule', input.SecurityGroupRules)) {
    const ruleId = required('SecurityGroupRuleId', update.SecurityGroupRuleId)
    const wish = parseRuleRequest(required('SecurityGroupRule', update.SecurityGroupRule))
    if (wishes.has(ruleId)) throw twice(`The security group rule '${ruleId}'`)
    wishes.set(ruleId, wish)
  }
  const ids = checkIds('security-group-rule', [...wishes.keys()])
  const view = await state.fresh()
  const { id } = namedGroup(view, account, { GroupId: required('GroupId', input.GroupId) })
  await state.update(async (tx) => {
    const group = await groupNow(tx, id, account)
    const missing = ids.filter((one) => !group.rules.some((rule) => rule.id === one))
    if (missing.length > 0) throw notFound('security-group-rule', missing)
    const changed: SecurityGroupRule[] = []
    for (const rule of group.rules) {
      const wish = wishes.get(rule.id)
      if (wish === undefined) continue
      // A peer that stays may be gone meanwhile: what is stale can still be described.
      const same = bodyOf(view, group, rule.egress, wish)
      const peer = isSameRule(same, rule) ? {} : await peerFor(tx, view, group, wish.peer)
      changed.push({ ...same, ...peer, id: rule.id, description: wish.description })
    }
    const kept = group.rules.filter((rule) => !wishes.has(rule.id))
    checkNew({ ...group, rules: kept }, changed)
    const byId = new Map(changed.map((rule) => [rule.id, rule]))
    const rules = group.rules.map((rule) => byId.get(rule.id) ?? rule)
    await checkRuleCount(tx, { id, rules })
    endDryRun(input)
    await tx.put('security-group', [id], { ...group, rules })
  })
  return { Return: true }
}

async function describe(
  { state }: GroupParts,
  { caller: { account } }: CallContext,
  input: Ec2Inputs['UpdateSecurityGroupRuleDescriptionsIngress'],
  egress: boolean,
): Promise<{ Return: boolean }> {
  const byId = new Map<string, string>()
  for (const one of input.SecurityGroupRuleDescriptions ?? []) {
    const ruleId = required('SecurityGroupRuleId', one.SecurityGroupRuleId)
    byId.set(ruleId, parseText('description', one.Description ?? ''))
  }
  const ids = checkIds('security-group-rule', [...byId.keys()])
  const wishes = wishesOf({ IpPermissions: input.IpPermissions }, ids.length > 0)
  const view = await state.fresh()
  const { id } = namedGroup(view, account, input)
  await state.update(async (tx) => {
    const group = await groupNow(tx, id, account)
    const texts = new Map(byId)
    for (const wish of wishes) {
      const asked = bodyOf(view, group, egress, wish)
      const rule = group.rules.find((one) => isSameRule(one, asked))
      if (rule === undefined) throw noSuchRule(group)
      texts.set(rule.id, wish.description)
    }
    const theirs = group.rules.filter((rule) => rule.egress === egress).map((rule) => rule.id)
    const missing = ids.filter((one) => !theirs.includes(one))
    if (missing.length > 0) throw notFound('security-group-rule', missing)
    endDryRun(input)
    const rules = group.rules.map((rule) => ({
      ...rule,
      description: texts.get(rule.id) ?? rule.description,
    }))
    await tx.put('security-group', [id], { ...group, rules })
  })
  return { Return: true }
}

async function groupNow(
  tx: Transaction,
  id: string,
  account: string,
): Promise<SecurityGroupRecord> {
  const [group] = await namedInStore(tx, 'security-group', [id], account)
  if (group === undefined) throw notFound('security-group', [id])
  return group
}

/** What revoke and the descriptions name; none when the request names rules by their ids only. */
function wishesOf(input: FlatPermission, hasIds: boolean): RuleWish[] {
  const { IpPermissions: permissions, IpProtocol, CidrIp, SourceSecurityGroupName: name } = input
  const isFlat = [IpProtocol, CidrIp, name].some((one) => one !== undefined)
  if (hasIds && !isFlat && (permissions ?? []).length === 0) return []
  return parsePermissions(permissionsOf(input))
}

function bodyOf(
  view: View,
  group: SecurityGroupRecord,
  egress: boolean,
  { protocol, fromPort, toPort, peer }: RuleWish,
): RuleBody {
  return { egress, protocol, fromPort, toPort, ...peerNamed(view, group, peer) }
}

/** Random; that two of a group are the same is not left to chance. */
function unusedId(
  group: SecurityGroupRecord,
  added: readonly SecurityGroupRule[],
  randomHex: RandomHex,
): string {
  const id = newRuleId(randomHex)
  const isTaken = [...group.rules, ...added].some((rule) => rule.id === id)
  if (isTaken) throw new MalleeError('Conflict', `a random id for a new rule was taken: ${id}`)
  return id
}

/** Throws when a new rule is there already, or twice in the request. */
function checkNew(group: SecurityGroupRecord, added: readonly SecurityGroupRule[]): void {
  const there = new Set(group.rules.map(ruleText))
  const seen = new Set<string>()
  for (const rule of added) {
    const text = ruleText(rule)
    if (seen.has(text)) throw twice(`The rule "${wordsOf(rule)}"`)
    seen.add(text)
    if (!there.has(text)) continue
    const why = `the specified rule "${wordsOf(rule)}" already exists`
    throw new ApiError('InvalidPermission.Duplicate', why)
  }
}

function wordsOf({ protocol, fromPort, toPort, ...rule }: SecurityGroupRule): string {
  const peer = rule.ipv4 || rule.ipv6 || rule.group || rule.prefixList
  const ports = fromPort === -1 ? '' : `, from port: ${fromPort}, to port: ${toPort}`
  return `peer: ${peer}, ${protocol === '-1' ? 'ALL' : protocol.toUpperCase()}${ports}, ALLOW`
}

function twice(what: string): ApiError {
  return new ApiError('InvalidParameterValue', `${what} must not appear multiple times`)
}

function noSuchRule({ id }: SecurityGroupRecord): ApiError {
  const text = `The specified rule does not exist in the security group '${id}'.`
  return new ApiError('InvalidPermission.NotFound', text)
}

function revokedShown(groupId: string, rule: SecurityGroupRule): RevokedSecurityGroupRule {
  return {
    SecurityGroupRuleId: rule.id,
    GroupId: groupId,
    IsEgress: rule.egress,
    IpProtocol: rule.protocol,
    FromPort: rule.fromPort,
    ToPort: rule.toPort,
    CidrIpv4: rule.ipv4 || undefined,
    CidrIpv6: rule.ipv6 || undefined,
    PrefixListId: rule.prefixList || undefined,
    ReferencedGroupId: (readFarGroup(rule.group)?.group ?? rule.group) || undefined,
    Description: rule.description || undefined,
  }
}
