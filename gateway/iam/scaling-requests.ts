// What a call to Auto Scaling asks policies for: the group that it is about, and the launches that
// the group will make of its template (Service Authorization Reference, "Actions, resources, and
// condition keys for Amazon EC2 Auto Scaling").

import { launchesOf, whatAsked } from '../autoscaling/group-launch.ts'
import { placesAsked } from '../autoscaling/group-places.ts'
import { groupArn, groupKey } from '../autoscaling/groups-kept.ts'
import { ApiError } from '../aws/api-error.ts'
import type { AutoScalingInputs } from '../aws/handlers.ts'
import type { VersionAsked } from '../ec2/launch-template-names.ts'
import type { ScalingGroupRecord } from '../store/scaling-records.ts'
import { asKeys, type Keys, requestTagKeys } from './ec2-keys.ts'
import { textsAt } from './ec2-members.ts'
import type { Place } from './ec2-named.ts'
import { type Ask, runAsks } from './ec2-requests.ts'

type Wish = Partial<AutoScalingInputs['CreateAutoScalingGroup']>
interface TagAsked {
  readonly ResourceId?: string
  readonly Key?: string
  readonly Value?: string
}

/** They have no resource, whatever they name. */
const WITHOUT = /^(?:Describe|Get)/
const LAUNCHING: ReadonlySet<string> = new Set(['CreateAutoScalingGroup', 'UpdateAutoScalingGroup'])
/** What a group has that says nothing of it. */
const NOTHING = { overrides: [], placementGroup: '', spot: false }

export function scalingAsks(place: Place, operation: string, input: object): Ask[] {
  const action = `autoscaling:${operation}`
  if (WITHOUT.test(operation)) return [{ action, resource: '*', keys: new Map() }]
  const about = requestKeys(input)
  const own = groupsNamed(place, input).map((name): Ask => {
    const group = place.view.get('scaling-group', ...groupKey(place.account, name))
    const resource =
      group === null
        ? `arn:aws:autoscaling:${place.region}:${place.account}:autoScalingGroup:*:autoScalingGroupName/${name}`
        : groupArn(place.region, group)
    return { action, resource, keys: new Map([...tagKeys(group), ...about]) }
  })
  const asks = own.length > 0 ? own : [{ action, resource: '*', keys: about }]
  return LAUNCHING.has(operation) ? [...asks, ...launchAsks(place, input)] : asks
}

/** The versions of launch templates that a request lets a group launch from. */
export function scalingTemplates(input: object): VersionAsked[] {
  const { LaunchTemplate: one, MixedInstancesPolicy: mixed } = input as Wish
  const base = mixed?.LaunchTemplate?.LaunchTemplateSpecification
  const others = mixed?.LaunchTemplate?.Overrides ?? []
  const all = [one, base, ...others.map((other) => other.LaunchTemplateSpecification)]
  return all.filter((asked) => asked !== undefined)
}

/** By name, by a tag's resource, or as the group that an instance is in. */
function groupsNamed({ view, account }: Place, input: object): string[] {
  const { InstanceId: instance = '', Tags: tags } = input as {
    InstanceId?: string
    Tags?: readonly TagAsked[]
  }
  const names = textsAt(input, 'AutoScalingGroupName')
  if (names.length > 0) return names
  if (tags !== undefined) return [...new Set(tags.flatMap((tag) => tag.ResourceId ?? []))]
  const member = view
    .by('scaling-member', 'account', account)
    .find((one) => one.instance === instance)
  const [group] = member === undefined ? [] : view.by('scaling-group', 'id', member.group)
  return group === undefined ? [] : [group.name]
}

function tagKeys(group: ScalingGroupRecord | null): Keys {
  const keys: Keys = new Map()
  for (const { key, value } of group?.tags ?? []) {
    for (const prefix of ['aws', 'autoscaling']) {
      const name = `${prefix}:resourcetag/${key.toLowerCase()}`
      keys.set(name, [...(keys.get(name) ?? []), value])
    }
  }
  return keys
}

function requestKeys(input: object): Keys {
  const wish = input as Wish
  const tags = new Map((wish.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]))
  const templates = scalingTemplates(input)
  const subnets = (wish.VPCZoneIdentifier ?? '').split(',').filter((one) => one !== '')
  const types = (wish.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? []).flatMap(
    (one) => one.InstanceType ?? [],
  )
  const targets = wish.TargetGroupARNs ?? textsAt(input, 'TargetGroupARNs')
  const lists = [
    ['autoscaling:vpczoneidentifiers', subnets],
    ['autoscaling:instancetypes', types],
    ['autoscaling:targetgrouparns', targets],
  ] as const
  return new Map([
    ...requestTagKeys(tags),
    ...asKeys({
      'autoscaling:MinSize': wish.MinSize ?? null,
      'autoscaling:MaxSize': wish.MaxSize ?? null,
      'autoscaling:LaunchTemplateVersionSpecified':
        templates.length === 0
          ? null
          : templates.every(({ Version: version = '' }) => /^\d+$/.test(version)),
    }),
    ...lists.filter(([, values]) => values.length > 0),
  ])
}

/** Who lets a group launch must be allowed to launch, in each of its places. */
function launchAsks(place: Place, input: object): Ask[] {
  const { view, region, account } = place
  const { AutoScalingGroupName: name = '' } = input as Wish
  const before = view.get('scaling-group', ...groupKey(account, name))
  try {
    const places = placesAsked(view, place, input as Wish)
    const what = whatAsked(view, { caller: { account } }, input as Wish)
    if (places === null && what === null) return []
    const wish = { ...before, ...what, ...places }
    if (wish.template === undefined || wish.zones === undefined) return []
    const { template, zones, subnets = [] } = wish
    const group = { ...NOTHING, ...wish, template, zones, subnets, account, tags: [] }
    return launchesOf(view, region, group).flatMap((run) => runAsks(place, run))
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    // The handler says what is wrong with it; who may not launch at all is not told.
    return scalingTemplates(input).flatMap((one) => runAsks(place, { LaunchTemplate: one }))
  }
}
