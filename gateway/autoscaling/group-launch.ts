// What a group launches: the template that a request names, looked up as policies were asked about
// it, and the RunInstances request that each launch is.

import type {
  LaunchTemplateSpecification,
  MixedInstancesPolicy,
} from '@aws-sdk/client-auto-scaling'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Inputs } from '../aws/handlers.ts'
import { refuseUnknown, unsupported } from '../ec2/input.ts'
import {
  meaningsOf,
  meantBy,
  templateInView,
  versionInView,
  versionNumber,
} from '../ec2/launch-template-names.ts'
import { checkRun } from '../ec2/run-instances.ts'
import { zoneName } from '../ec2/zones.ts'
import type {
  ScalingGroupRecord,
  ScalingOverride,
  ScalingTemplate,
  ScalingWish,
} from '../store/scaling-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { invalid } from './errors.ts'
import { type Places, zonesOf } from './group-places.ts'
import type { ScalingParts } from './groups-kept.ts'

type RunInput = Ec2Inputs['RunInstances']
/** A launch but for its counts. */
type Run = Omit<RunInput, 'MinCount' | 'MaxCount'>
type What = Pick<ScalingWish, 'template' | 'overrides' | 'spot'> & { readonly mixed?: object }
/** What of a group makes its launches. */
type Launching = Pick<ScalingGroupRecord, 'placementGroup' | 'spot' | 'tags'>

/** Tag of the instances of a group; users neither set it nor take it away. */
export const GROUP_TAG = 'aws:autoscaling:groupName'
const NOTHING = new Map<string, readonly unknown[]>()
const TEMPLATE_KNOWN = new Set(['LaunchTemplateId', 'LaunchTemplateName', 'Version'])
const MIXED_KNOWN = new Set(['LaunchTemplate', 'InstancesDistribution'])
const OVERRIDE_KNOWN = new Set(['InstanceType', 'LaunchTemplateSpecification'])
const OVERRIDE_HARMLESS = new Map<string, readonly unknown[]>([['WeightedCapacity', ['1']]])
// Every price is the same, and what has room has it whatever is asked: all strategies are one.
const DISTRIBUTION_KNOWN = new Set([
  ...['OnDemandAllocationStrategy', 'OnDemandBaseCapacity', 'OnDemandPercentageAboveBaseCapacity'],
  ...['SpotAllocationStrategy', 'SpotInstancePools', 'SpotMaxPrice'],
])
const ALL = 100
const MAX_OVERRIDES = 40
const ONE_OF =
  'Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or ' +
  'MixedInstancesPolicy parameter.'

interface WhatAsked {
  readonly LaunchTemplate?: LaunchTemplateSpecification | undefined
  readonly MixedInstancesPolicy?: MixedInstancesPolicy | undefined
}

/** Of a call: whose it is, and what policies were asked about. */
type Asker = Pick<CallContext, 'authorized'> & { readonly caller: { readonly account: string } }

/** Null when the request says nothing of it. */
export function whatAsked(view: View, context: Asker, input: WhatAsked): What | null {
  const { LaunchTemplate: template, MixedInstancesPolicy: mixed } = input
  if (template !== undefined && mixed !== undefined) throw invalid(ONE_OF)
  if (template !== undefined) {
    return { template: templateAsked(view, context, template), overrides: [], spot: false }
  }
  return mixed === undefined ? null : mixedAsked(view, context, mixed)
}

/** Of a new group, which must say it. */
export function whatNeeded(view: View, context: Asker, input: WhatAsked): What {
  const what = whatAsked(view, context, input)
  if (what === null) throw invalid(ONE_OF)
  return what
}

function mixedAsked(view: View, context: Asker, mixed: MixedInstancesPolicy): What {
  refuseUnknown(mixed, MIXED_KNOWN, NOTHING, 'MixedInstancesPolicy.')
  const { LaunchTemplate: launch, InstancesDistribution: distribution = {} } = mixed
  if (launch?.LaunchTemplateSpecification === undefined) {
    throw invalid('The mixed instances policy must have a launch template.')
  }
  refuseUnknown(distribution, DISTRIBUTION_KNOWN, NOTHING, 'InstancesDistribution.')
  const { OnDemandBaseCapacity: base = 0, OnDemandPercentageAboveBaseCapacity: percent = ALL } =
    distribution
  if (percent !== ALL && !(percent === 0 && base === 0)) {
    throw unsupported('A mix of on-demand and spot instances in one group')
  }
  const asked = launch.Overrides ?? []
  if (asked.length > MAX_OVERRIDES) {
    throw invalid(`The mixed instances policy has more than ${MAX_OVERRIDES} overrides.`)
  }
  const overrides = asked.map((one): ScalingOverride => {
    refuseUnknown(one, OVERRIDE_KNOWN, OVERRIDE_HARMLESS, 'Overrides.')
    const { InstanceType: type = '', LaunchTemplateSpecification: other } = one
    return other === undefined ? { type } : { type, template: templateAsked(view, context, other) }
  })
  const template = templateAsked(view, context, launch.LaunchTemplateSpecification)
  return { template, overrides, mixed, spot: percent === 0 }
}

/** By what policies were asked about; a template that is named is kept by its id. */
function templateAsked(
  view: View,
  { caller: { account }, authorized }: Asker,
  asked: LaunchTemplateSpecification,
): ScalingTemplate {
  refuseUnknown(asked, TEMPLATE_KNOWN, NOTHING, 'LaunchTemplate.')
  const version = asked.Version ?? '$Default'
  try {
    const meant = authorized === undefined ? asked : meantBy(authorized.templates, asked)
    const template = templateInView(view, account, meant)
    versionInView(view, template, meant.Version ?? '$Default')
    return { id: template.id, name: template.name, version }
  } catch (error) {
    throw asInvalid(error)
  }
}

/** The launches to try in turn, each with the template that is in it. */
export function runsOf(
  view: View,
  region: string,
  group: Launching & Pick<What, 'template' | 'overrides'> & { readonly account: string },
  place: { readonly rack: string; readonly subnet: string },
): { template: ScalingTemplate; run: Run }[] {
  const overrides: readonly ScalingOverride[] =
    group.overrides.length > 0 ? group.overrides : [{ type: '' }]
  return overrides.map(({ type, template: other }) => {
    const asked = other ?? group.template
    const found = templateInView(view, group.account, { LaunchTemplateId: asked.id })
    const { version, data } = versionInView(view, found, asked.version)
    const tags = group.tags.filter((tag) => tag.propagate)
    const cards = (data.NetworkInterfaces ?? []).map((card) =>
      place.subnet === '' || card.NetworkInterfaceId !== undefined
        ? card
        : { ...card, SubnetId: place.subnet },
    )
    const AvailabilityZone = zoneName(region, place.rack)
    const inGroup = group.placementGroup === '' ? {} : { GroupName: group.placementGroup }
    const run: Run = {
      LaunchTemplate: { LaunchTemplateId: asked.id, Version: String(version) },
      Placement: { AvailabilityZone, ...inGroup },
      ...(type === '' ? {} : { InstanceType: type as NonNullable<RunInput['InstanceType']> }),
      ...(group.spot ? { InstanceMarketOptions: { MarketType: 'spot' } } : {}),
      ...(cards.length > 0 ? { NetworkInterfaces: cards } : {}),
      ...(cards.length > 0 || place.subnet === '' ? {} : { SubnetId: place.subnet }),
      ...(tags.length === 0
        ? {}
        : {
            TagSpecifications: [
              {
                ResourceType: 'instance',
                Tags: tags.map(({ key, value }) => ({ Key: key, Value: value })),
              },
            ],
          }),
    }
    return { template: { id: asked.id, name: found.name, version: String(version) }, run }
  })
}

/** The number that the group's version is now; -1 when there is none. */
export function currentVersion(view: View, { template }: Pick<What, 'template'>): number {
  const found = view.get('launch-template', template.id)
  return found === null ? -1 : versionNumber(found, template.version)
}

/** Each override once and each place once: what one says has nothing to do with the other. */
export function launchesOf(
  view: View,
  region: string,
  group: Parameters<typeof runsOf>[2] & Places,
): Run[] {
  const places = zonesOf(view, group).flatMap(({ rack, subnets }) =>
    subnets.map((subnet) => ({ rack, subnet })),
  )
  return places.flatMap((place, i) =>
    runsOf(view, region, group, place)
      .slice(0, i === 0 ? MAX_OVERRIDES : 1)
      .map(({ run }) => run),
  )
}

/**
 * Throws ValidationError when no launch of the group could ever go well as it is now. What is free
 * is not asked: that may change.
 */
export async function checkLaunches(
  tx: Transaction,
  parts: ScalingParts,
  context: CallContext,
  group: ScalingGroupRecord,
): Promise<void> {
  const view = await parts.state.fresh()
  try {
    for (const run of launchesOf(view, parts.region, group)) {
      const asked = run.LaunchTemplate === undefined ? [] : [run.LaunchTemplate]
      const templates = meaningsOf(view, group.account, asked)
      const { authorized, ...own } = context
      await checkRun(tx, parts, {
        context:
          authorized === undefined ? own : { ...own, authorized: { ...authorized, templates } },
        input: { ...run, MinCount: 1, MaxCount: 1 },
        ownTags: new Map(),
      })
    }
  } catch (error) {
    throw asInvalid(error)
  }
}

/** What EC2 refuses is a template that this group cannot use. */
function asInvalid(error: unknown): unknown {
  if (!(error instanceof ApiError) || error.status >= 500) return error
  if (error.code === 'ValidationError' || error.code === 'UnsupportedOperation') return error
  return invalid(`You must use a valid fully-formed launch template. ${error.message}`)
}
