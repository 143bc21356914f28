// What a call to Elastic Load Balancing asks policies for (Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Elastic Load Balancing V2").

import { found, kindOfArn } from '../elb/arns.ts'
import { type Keys, requestTagKeys } from './ec2-keys.ts'
import { textsAt } from './ec2-members.ts'
import type { Place } from './ec2-named.ts'
import type { Ask } from './ec2-requests.ts'

const SERVICE = 'elasticloadbalancing'

/** Actions → members that hold ARNs. Those that are not here have no resource, as all Describe…. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  AddTags: ['ResourceArns'],
  CreateListener: ['LoadBalancerArn'],
  DeleteListener: ['ListenerArn'],
  DeleteLoadBalancer: ['LoadBalancerArn'],
  DeleteTargetGroup: ['TargetGroupArn'],
  DeregisterTargets: ['TargetGroupArn'],
  ModifyListener: ['ListenerArn'],
  ModifyListenerAttributes: ['ListenerArn'],
  ModifyLoadBalancerAttributes: ['LoadBalancerArn'],
  ModifyTargetGroup: ['TargetGroupArn'],
  ModifyTargetGroupAttributes: ['TargetGroupArn'],
  RegisterTargets: ['TargetGroupArn'],
  RemoveTags: ['ResourceArns'],
  SetIpAddressType: ['LoadBalancerArn'],
  SetSecurityGroups: ['LoadBalancerArn'],
  SetSubnets: ['LoadBalancerArn'],
}

/** What is made has no id yet. */
const MADE: Readonly<Record<string, (input: object) => string>> = {
  CreateLoadBalancer: (input) => `loadbalancer/net/${nameIn(input)}/*`,
  CreateTargetGroup: (input) => `targetgroup/${nameIn(input)}/*`,
  CreateListener: (input) => {
    const [arn = ''] = textsAt(input, 'LoadBalancerArn')
    return `listener/${/loadbalancer\/(.+)$/.exec(arn)?.[1] ?? 'net/*/*'}/*`
  },
}

/** Keys of conditions, and the members with their values. */
const ASKED: readonly (readonly [key: string, ...members: readonly string[]])[] = [
  ['scheme', 'Scheme'],
  ['securitygroup', 'SecurityGroups'],
  ['subnet', 'Subnets', 'SubnetMappings.SubnetId'],
  ['listenerprotocol', 'Protocol'],
]
const WITH_KEYS: ReadonlySet<string> = new Set([
  ...['CreateLoadBalancer', 'CreateListener', 'ModifyListener', 'SetSecurityGroups', 'SetSubnets'],
])

export function elbAsks(place: Place, operation: string, input: object): Ask[] {
  const action = `${SERVICE}:${operation}`
  const tags = tagsIn(input)
  const keys: Keys = new Map([...requestTagKeys(tags), ...valueKeys(operation, input)])
  const gone = textsAt(input, 'TagKeys')
  if (gone.length > 0) keys.set('aws:tagkeys', gone)
  const made = MADE[operation]?.(input)
  const arns = (NAMED[operation] ?? []).flatMap((member) => textsAt(input, member))
  const about = arns.map((arn) => ({ arn, keys: new Map([...tagKeys(place, arn), ...keys]) }))
  if (made !== undefined && about.length === 0) about.push({ arn: arnIn(place, made), keys })
  const asks: Ask[] = about.map((one) => ({ action, resource: one.arn, keys: one.keys }))
  if (asks.length === 0) return [{ action, resource: '*', keys }]
  // Who makes something with tags must be allowed to tag it too.
  if (made === undefined || tags.size === 0) return asks
  const created = new Map([...keys, [`${SERVICE}:createaction`, [operation]] as const])
  return [...asks, { action: `${SERVICE}:AddTags`, resource: arnIn(place, made), keys: created }]
}

function arnIn({ region, account }: Place, path: string): string {
  return `arn:aws:${SERVICE}:${region}:${account}:${path}`
}

function nameIn(input: object): string {
  return textsAt(input, 'Name')[0] ?? '*'
}

function valueKeys(operation: string, input: object): Keys {
  const keys: Keys = new Map()
  if (!WITH_KEYS.has(operation)) return keys
  for (const [key, ...members] of ASKED) {
    const values = members.flatMap((member) => textsAt(input, member))
    if (values.length > 0) keys.set(`${SERVICE}:${key}`, values)
  }
  return keys
}

/** The tags of what is there and is the account's own. */
function tagKeys({ view, region, account }: Place, arn: string): Keys {
  const keys: Keys = new Map()
  const kind = kindOfArn(arn)
  if (kind === null) return keys
  for (const [key, value] of Object.entries(found(view, region, account, kind, arn)?.tags ?? {})) {
    for (const prefix of ['aws', SERVICE]) {
      const name = `${prefix}:resourcetag/${key.toLowerCase()}`
      keys.set(name, [...(keys.get(name) ?? []), value])
    }
  }
  return keys
}

function tagsIn(input: object): Map<string, string> {
  const { Tags: list = [] } = input as { Tags?: readonly { Key?: string; Value?: string }[] }
  return new Map(list.map(({ Key = '', Value = '' }) => [Key, Value]))
}
