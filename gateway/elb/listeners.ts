// CreateListener, DescribeListeners, ModifyListener, DeleteListener, DescribeRules.

import type { Action, Listener, Rule } from '@aws-sdk/client-elastic-load-balancing-v2'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, LoadBalancingHandlers, LoadBalancingInputs } from '../aws/handlers.ts'
import { checkQuotaOf } from '../ec2/quotas.ts'
import type {
  BalancerProtocolName,
  ListenerRecord,
  LoadBalancerRecord,
  TargetGroupRecord,
} from '../store/balancer-records.ts'
import type { Transaction, View } from '../store/state.ts'
import {
  arnOf,
  found,
  listenerOfRule,
  loadBalancerArn,
  named,
  newHexId,
  oneInStore,
  ruleArn,
} from './arns.ts'
import { badConfiguration, invalid, notFound } from './errors.ts'
import { parseTags, refuseUnknown } from './input.ts'
import { checkGroup, leaveGroup, removeListener, useGroup } from './listener-records.ts'
import { pageOf } from './paging.ts'
import type { BalancingParts } from './parts.ts'
import { actionsOf, listenerOf } from './shapes.ts'
import { checkPort } from './target-groups.ts'

type Handlers = Required<
  Pick<
    LoadBalancingHandlers,
    'CreateListener' | 'DescribeListeners' | 'ModifyListener' | 'DeleteListener' | 'DescribeRules'
  >
>

const KIND = 'listener'
const PROTOCOLS: readonly BalancerProtocolName[] = ['TCP', 'UDP', 'TCP_UDP']
const CREATED = new Set(['LoadBalancerArn', 'DefaultActions', 'Protocol', 'Port', 'Tags'])
const MODIFIED = new Set(['ListenerArn', 'DefaultActions', 'Protocol', 'Port'])
const HARMLESS = new Map<string, readonly unknown[]>([
  ['MutualAuthentication', [{ Mode: 'off' }]],
  ['AlpnPolicy', [['None']]],
])
const ACTION = new Set(['Type', 'TargetGroupArn', 'Order', 'ForwardConfig'])

export function listenerHandlers(parts: BalancingParts): Handlers {
  const { state, region } = parts
  return {
    CreateListener: async (context, input) => {
      const id = await state.update((tx) => createListener(tx, parts, context, input))
      return { Listeners: shown(await state.fresh(), region, [id]) }
    },

    DescribeListeners: async (context, input) => {
      const view = await state.fresh()
      const listeners = askedFor(view, region, context.caller.account, input)
      const cursor = ({ port, id }: ListenerRecord): string =>
        `${String(port).padStart(5, '0')}/${id}`
      const page = pageOf(context, 'DescribeListeners', input, listeners, cursor)
      return {
        Listeners: page.items.map((one) => listenerOf(view, region, one)),
        NextMarker: page.marker,
      }
    },

    ModifyListener: async ({ caller }, input) => {
      const { ListenerArn: arn = '' } = input
      refuseUnknown(input, MODIFIED, HARMLESS)
      const id = await state.update(async (tx) => {
        const before = await oneInStore(tx, region, caller.account, KIND, arn)
        const balancer = await tx.get('load-balancer', before.loadBalancer)
        if (balancer === null) throw notFound(KIND, [arn])
        const protocol = input.Protocol === undefined ? before.protocol : protocolOf(input.Protocol)
        const port = input.Port ?? before.port
        checkPort(port)
        const next = { ...before, protocol, port }
        await checkFree(tx, region, balancer, next)
        const asked = input.DefaultActions ?? []
        const group =
          asked.length > 0
            ? await groupOf(tx, region, caller.account, asked)
            : await tx.get('target-group', before.targetGroup)
        if (group === null)
          throw new RangeError(`${before.targetGroup} is gone, and ${arn} names it`)
        checkGroup(region, balancer, protocol, group)
        if (group.id !== before.targetGroup) {
          await leaveGroup(tx, before)
          await useGroup(tx, group, before)
        }
        await tx.put(KIND, [before.id], { ...next, targetGroup: group.id })
        return before.id
      })
      return { Listeners: shown(await state.fresh(), region, [id]) }
    },

    DeleteListener: async ({ caller }, { ListenerArn: arn = '' }) => {
      await state.update(async (tx) => {
        const { id, loadBalancer } = await oneInStore(tx, region, caller.account, KIND, arn)
        const balancer = await tx.get('load-balancer', loadBalancer)
        if (balancer === null) throw notFound(KIND, [arn])
        const listeners = balancer.listeners.filter((one) => one !== id)
        await tx.put('load-balancer', [loadBalancer], { ...balancer, listeners })
        await removeListener(tx, id)
      })
      return {}
    },

    DescribeRules: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const { ListenerArn: arn, RuleArns: rules = [] } = input
      if ((arn === undefined) === (rules.length === 0)) {
        throw invalid('Either a listener ARN or rule ARNs must be specified')
      }
      const listeners =
        arn === undefined
          ? rules.map((rule) => ruleListener(view, region, account, rule))
          : named(view, region, account, KIND, [arn])
      const page = pageOf(context, 'DescribeRules', input, listeners, ({ id }) => id)
      return {
        Rules: page.items.map((listener) => ruleOf(view, region, listener)),
        NextMarker: page.marker,
      }
    },
  }
}

async function createListener(
  tx: Transaction,
  { randomHex, region }: BalancingParts,
  { caller, nowMs }: CallContext,
  input: LoadBalancingInputs['CreateListener'],
): Promise<string> {
  const { LoadBalancerArn: arn = '', Port: port } = input
  const { account } = caller
  const balancer = await oneInStore(tx, region, account, 'load-balancer', arn)
  const protocol = protocolOf(input.Protocol)
  if (port === undefined) throw invalid('A port must be specified')
  checkPort(port)
  refuseUnknown(input, CREATED, HARMLESS)
  const tags = parseTags(input.Tags)
  const group = await groupOf(tx, region, account, input.DefaultActions ?? [])
  const wish = { protocol, port, loadBalancer: balancer.id, targetGroup: group.id }
  for (const id of balancer.listeners) {
    const there = await tx.get(KIND, id)
    const isSame = there?.protocol === protocol && there.targetGroup === group.id
    if (isSame && there.port === port) return id
  }
  await checkFree(tx, region, balancer, { id: '', ...wish })
  checkGroup(region, balancer, protocol, group)
  const of = { account, id: balancer.name }
  await checkQuotaOf(tx, of, 'listeners-per-network-load-balancer', balancer.listeners.length)
  const id = await newHexId(tx, randomHex, KIND)
  const listeners = [...balancer.listeners, id]
  await tx.put('load-balancer', [balancer.id], { ...balancer, listeners })
  await useGroup(tx, group, { id, loadBalancer: balancer.id })
  await tx.put(KIND, [id], { id, account, ...wish, attributes: {}, tags, createdAtMs: nowMs })
  return id
}

function protocolOf(asked: string | undefined): BalancerProtocolName {
  if (asked === undefined) throw invalid('A protocol must be specified')
  const known = PROTOCOLS.find((one) => one === asked)
  if (known !== undefined) return known
  const text = `This cloud has no listeners of the protocol '${asked}': it has ${PROTOCOLS.join(', ')}`
  throw new ApiError('UnsupportedProtocol', text)
}

/** One listener at a port. As with AWS, TCP and UDP at one port are a listener of TCP_UDP. */
async function checkFree(
  tx: Transaction,
  region: string,
  balancer: LoadBalancerRecord,
  { id, port }: Pick<ListenerRecord, 'id' | 'port'>,
): Promise<void> {
  for (const other of balancer.listeners) {
    const there = other === id ? null : await tx.get(KIND, other)
    if (there?.port !== port) continue
    const arn = loadBalancerArn(region, balancer)
    const text = `A listener already exists on this port for this load balancer '${arn}'`
    throw new ApiError('DuplicateListener', text)
  }
}

/** The group to which the one action forwards. */
async function groupOf(
  tx: Transaction,
  region: string,
  account: string,
  actions: readonly Action[],
): Promise<TargetGroupRecord> {
  const [action, ...more] = actions
  if (action === undefined) throw invalid('A listener must have a default action')
  if (more.length > 0) {
    throw new ApiError('TooManyActions', 'A listener of a network load balancer has one action')
  }
  if (action.Type !== 'forward') {
    const text = `The action type '${action.Type}' is not one of network load balancers: 'forward' is`
    throw new ApiError('InvalidLoadBalancerAction', text)
  }
  refuseUnknown(action, ACTION)
  const { TargetGroups = [], TargetGroupStickinessConfig: sticky } = action.ForwardConfig ?? {}
  if (sticky?.Enabled === true) {
    throw badConfiguration('Network load balancers have no stickiness between target groups')
  }
  const arns = [action.TargetGroupArn, ...TargetGroups.map((one) => one.TargetGroupArn)]
  const unique = [...new Set(arns.filter((arn) => arn !== undefined))]
  const [arn] = unique
  if (arn === undefined) throw invalid('A target group ARN must be specified')
  if (unique.length > 1) {
    const text = 'This cloud forwards to one target group: there are no weights between several'
    throw badConfiguration(text)
  }
  return await oneInStore(tx, region, account, 'target-group', arn)
}

function askedFor(
  view: View,
  region: string,
  account: string,
  { LoadBalancerArn: arn, ListenerArns: arns = [] }: LoadBalancingInputs['DescribeListeners'],
): readonly ListenerRecord[] {
  if ((arn === undefined) === (arns.length === 0)) {
    throw invalid('Either a load balancer ARN or listener ARNs must be specified')
  }
  if (arn === undefined) return named(view, region, account, KIND, arns)
  const balancer = found(view, region, account, 'load-balancer', arn)
  if (balancer === null) throw notFound('load-balancer', [arn])
  return view.by(KIND, 'loadBalancer', balancer.id)
}

function ruleListener(view: View, region: string, account: string, arn: string): ListenerRecord {
  const of = listenerOfRule(arn)
  const listener = found(view, region, account, KIND, of)
  if (listener !== null && ruleArn(of) === arn) return listener
  throw new ApiError('RuleNotFound', `Rules '[${arn}]' not found`)
}

/** A network load balancer's listener has its default rule and no other. */
function ruleOf(view: View, region: string, listener: ListenerRecord): Rule {
  return {
    RuleArn: ruleArn(arnOf(view, region, KIND, listener)),
    Priority: 'default',
    Conditions: [],
    Actions: actionsOf(view, region, listener),
    IsDefault: true,
  }
}

function shown(view: View, region: string, ids: readonly string[]): Listener[] {
  return ids.flatMap((id) => {
    const listener = view.get(KIND, id)
    return listener === null ? [] : [listenerOf(view, region, listener)]
  })
}
