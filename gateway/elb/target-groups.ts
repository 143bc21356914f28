// CreateTargetGroup, DescribeTargetGroups, ModifyTargetGroup, DeleteTargetGroup. A name is held by
// one group of its account: the `name` record makes two requests at once meet.

import { ApiError } from '../aws/api-error.ts'
import type { CallContext, LoadBalancingHandlers, LoadBalancingInputs } from '../aws/handlers.ts'
import { checkQuota } from '../ec2/quotas.ts'
import type { BalancerProtocolName, TargetGroupRecord } from '../store/balancer-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { found, idIn, named, newHexId, oneInStore, targetGroupArn } from './arns.ts'
import { badConfiguration, invalid, notFound } from './errors.ts'
import { HEALTH_CHECK_MEMBERS, parseHealthCheck } from './health-checks.ts'
import { checkName, parseTags, refuseUnknown } from './input.ts'
import { pageOf } from './paging.ts'
import type { BalancingParts } from './parts.ts'
import { targetGroupOf } from './shapes.ts'

type Handlers = Required<
  Pick<
    LoadBalancingHandlers,
    'CreateTargetGroup' | 'DescribeTargetGroups' | 'ModifyTargetGroup' | 'DeleteTargetGroup'
  >
>

const KIND = 'target-group'
const MAX_PORT = 65_535
const KNOWN = new Set<string>([
  ...HEALTH_CHECK_MEMBERS,
  ...['Name', 'Protocol', 'Port', 'VpcId', 'TargetType', 'IpAddressType', 'Tags'],
])
const PROTOCOLS: readonly BalancerProtocolName[] = ['TCP', 'UDP', 'TCP_UDP']

type Wish = Omit<TargetGroupRecord, 'id' | 'createdAtMs' | 'loadBalancer' | 'listeners'>

export function targetGroupHandlers(parts: BalancingParts): Handlers {
  const { state, region } = parts
  return {
    CreateTargetGroup: async (context, input) => {
      const wish = wishOf(context.caller.account, input)
      const id = await state.update((tx) => createGroup(tx, parts, context, wish))
      return { TargetGroups: shown(await state.fresh(), region, [id]) }
    },

    DescribeTargetGroups: async (context, input) => {
      const view = await state.fresh()
      const groups = askedFor(view, region, context.caller.account, input)
      const cursor = ({ name }: TargetGroupRecord): string => name
      const page = pageOf(context, 'DescribeTargetGroups', input, groups, cursor)
      return {
        TargetGroups: page.items.map((group) => targetGroupOf(view, region, group)),
        NextMarker: page.marker,
      }
    },

    ModifyTargetGroup: async ({ caller }, input) => {
      const { TargetGroupArn: arn = '' } = input
      refuseUnknown(input, new Set<string>([...HEALTH_CHECK_MEMBERS, 'TargetGroupArn']))
      const id = await state.update(async (tx) => {
        const group = await oneInStore(tx, region, caller.account, KIND, arn)
        const healthCheck = parseHealthCheck(input, group.healthCheck)
        await tx.put(KIND, [group.id], { ...group, healthCheck })
        return group.id
      })
      return { TargetGroups: shown(await state.fresh(), region, [id]) }
    },

    DeleteTargetGroup: async ({ caller }, input) => {
      const { TargetGroupArn: arn = '' } = input
      const id = idIn(KIND, arn)
      await state.update(async (tx) => {
        const group = await tx.get(KIND, id)
        // Ending what is not there is no error.
        if (group?.account !== caller.account || targetGroupArn(region, group) !== arn) return
        if (group.listeners.length > 0) {
          const text = `Target group '${arn}' is currently in use by a listener or a rule`
          throw new ApiError('ResourceInUse', text)
        }
        // Its targets go without it: housekeeping takes them away, however many they are.
        await tx.delete('name', ...nameKey(group.account, group.name))
        await tx.delete(KIND, id)
      })
      return {}
    },
  }
}

function wishOf(account: string, input: LoadBalancingInputs['CreateTargetGroup']): Wish {
  const { Port: port, VpcId: vpc = '', TargetType: type = 'instance' } = input
  const { IpAddressType: family = 'ipv4' } = input
  const name = checkName('Target group name', input.Name ?? '')
  if (type !== 'instance' && type !== 'ip') {
    const text = `This cloud has no targets of the type '${type}': it has 'instance' and 'ip'`
    throw badConfiguration(text)
  }
  refuseUnknown(input, KNOWN)
  const protocol = protocolOf(input.Protocol)
  if (port === undefined) throw invalid('A port must be specified')
  checkPort(port)
  if (vpc === '') throw invalid('A VPC ID must be specified')
  if (family !== 'ipv4' && family !== 'ipv6') throw invalid(`'${family}' is no IP address type`)
  const healthCheck = parseHealthCheck(input, null)
  const given = { ipAddressType: family, healthCheck, attributes: {}, tags: parseTags(input.Tags) }
  return { account, name, vpc, protocol, port, targetType: type, ...given }
}

function protocolOf(asked: string | undefined): BalancerProtocolName {
  if (asked === undefined) throw invalid('A protocol must be specified')
  const known = PROTOCOLS.find((one) => one === asked)
  if (known !== undefined) return known
  const text = `This cloud has no target groups of the protocol '${asked}'`
  throw badConfiguration(`${text}: it has network load balancers, of ${PROTOCOLS.join(', ')}`)
}

export function checkPort(port: number): void {
  if (Number.isInteger(port) && port >= 1 && port <= MAX_PORT) return
  throw invalid(`Port '${port}' must be between 1 and ${MAX_PORT}`)
}

/** The id of the group, the one that is there when it has the same settings. */
async function createGroup(
  tx: Transaction,
  { state, randomHex }: BalancingParts,
  { nowMs }: CallContext,
  wish: Wish,
): Promise<string> {
  const { account, name, vpc } = wish
  const holder = (await tx.get('name', ...nameKey(account, name)))?.holder
  const there = holder === undefined ? null : await tx.get(KIND, holder)
  if (there !== null) {
    if (isSame(there, wish)) return there.id
    const text = `A target group with the same name '${name}' exists, but with different settings`
    throw new ApiError('DuplicateTargetGroupName', text)
  }
  if ((await tx.get('vpc', vpc))?.account !== account) {
    throw invalid(`The VPC ID '${vpc.slice(0, 100)}' is not found`)
  }
  await checkQuota(tx, state, account, 'target-groups')
  const id = await newHexId(tx, randomHex, KIND)
  await tx.put('name', nameKey(account, name), { name, holder: id })
  const unused = { loadBalancer: '', listeners: [] }
  await tx.put(KIND, [id], { id, ...wish, ...unused, createdAtMs: nowMs })
  return id
}

function isSame(there: TargetGroupRecord, wish: Wish): boolean {
  const parts = ({ vpc, protocol, port, targetType, ipAddressType, healthCheck }: Wish): string =>
    JSON.stringify([vpc, protocol, port, targetType, ipAddressType, healthCheck])
  return parts(there) === parts(wish)
}

function nameKey(account: string, name: string): [string, string, string] {
  return ['target-group', account, name]
}

function askedFor(
  view: View,
  region: string,
  account: string,
  input: LoadBalancingInputs['DescribeTargetGroups'],
): readonly TargetGroupRecord[] {
  const { LoadBalancerArn: balancer, TargetGroupArns: arns = [], Names: names = [] } = input
  const ways = [balancer !== undefined, arns.length > 0, names.length > 0]
  if (ways.filter(Boolean).length > 1) {
    throw invalid('Only one of load balancer ARN, target group ARNs and names can be specified')
  }
  if (balancer !== undefined) {
    const one = found(view, region, account, 'load-balancer', balancer)
    if (one === null) throw notFound('load-balancer', [balancer])
    return view.by(KIND, 'loadBalancer', one.id)
  }
  if (arns.length > 0) return named(view, region, account, KIND, arns)
  const own = view.by(KIND, 'account', account)
  if (names.length === 0) return own
  const missing = names.filter((name) => own.every((group) => group.name !== name))
  if (missing.length > 0) throw notFound(KIND, missing)
  return own.filter(({ name }) => names.includes(name))
}

function shown(view: View, region: string, ids: readonly string[]) {
  return ids.flatMap((id) => {
    const group = view.get(KIND, id)
    return group === null ? [] : [targetGroupOf(view, region, group)]
  })
}
