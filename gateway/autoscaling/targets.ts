// Target groups of Auto Scaling groups: which ones they are, and members as their targets.

import type { TrafficSourceIdentifier } from '@aws-sdk/client-auto-scaling'
import type { ApiError } from '../aws/api-error.ts'
import { unsupported } from '../ec2/input.ts'
import { found } from '../elb/arns.ts'
import { deregisterInstances, instanceHealth, registerInstances } from '../elb/instance-targets.ts'
import type { ScalingGroupRecord, ScalingMemberRecord } from '../store/scaling-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { invalid } from './errors.ts'
import type { ScalingParts } from './groups-kept.ts'

type Parts = Pick<ScalingParts, 'state' | 'region'>
type Whose = Pick<ScalingGroupRecord, 'account' | 'targetGroups'>

/** Auto Scaling user guide, "Quotas". */
const MAX_TARGET_GROUPS = 50
/** As AWS calls target groups among the sources of traffic. */
export const TARGET_GROUP_TYPE = 'elbv2'

/** ARNs of target groups among the sources of traffic that a request names. */
export function sourcesNamed(sources: readonly TrafficSourceIdentifier[] | undefined): string[] {
  return (sources ?? []).map(({ Identifier: arn = '', Type: type = TARGET_GROUP_TYPE }) => {
    if (type === 'elb' || type === 'vpc-lattice') throw unsupported(`A traffic source ${type}`)
    if (type !== TARGET_GROUP_TYPE)
      throw invalid(`Invalid traffic source type: ${type.slice(0, 50)}`)
    return arn
  })
}

/** Throws ValidationError for target groups that the group cannot have, `arns` of all of them. */
export function checkTargetGroups(
  view: View,
  region: string,
  { account, subnets, targetGroups }: Whose & Pick<ScalingGroupRecord, 'subnets'>,
  arns: readonly string[],
): void {
  if (targetGroups.length > MAX_TARGET_GROUPS) {
    throw invalid(`An AutoScalingGroup has at most ${MAX_TARGET_GROUPS} target groups.`)
  }
  const [subnet] = subnets
  const vpc =
    subnet === undefined
      ? view.by('vpc', 'account', account).find((one) => one.isDefault)?.id
      : view.get('subnet', subnet)?.vpc
  for (const arn of arns) {
    const group = found(view, region, account, 'target-group', arn)
    if (group === null) throw noTargets('Target Groups')
    if (group.targetType !== 'instance') {
      throw invalid(`The target type of ${arn} is ${group.targetType}, and must be instance.`)
    }
    if (group.vpc !== vpc) {
      throw invalid(`The target group ${arn} is in ${group.vpc}, not in the VPC of the subnets.`)
    }
  }
}

export function noTargets(what: string): ApiError {
  return invalid(`Provided ${what} may not be valid. Please ensure they exist and try again.`)
}

/** Registers members with all target groups. Throws what ELB answers to the first refused one. */
export async function addToTargets(
  tx: Transaction,
  parts: Parts,
  { account, targetGroups }: Whose,
  instances: readonly string[],
  nowMs: number,
): Promise<void> {
  if (instances.length === 0) return
  for (const targetGroupArn of targetGroups) {
    await registerInstances(tx, parts, { account, targetGroupArn, instances, nowMs })
  }
}

/** Their connections go on for as long as the target groups say. */
export async function takeFromTargets(
  tx: Transaction,
  parts: Parts,
  { account, targetGroups }: Whose,
  instances: readonly string[],
  nowMs: number,
): Promise<void> {
  if (instances.length === 0) return
  for (const targetGroupArn of targetGroups) {
    await deregisterInstances(tx, parts, { account, targetGroupArn, instances, nowMs })
  }
}

/** Does a target group that is the group's call the member unhealthy? */
export function isUnhealthyTarget(
  view: View,
  region: string,
  { account, targetGroups }: Whose,
  { instance }: Pick<ScalingMemberRecord, 'instance'>,
): boolean {
  return targetGroups.some((targetGroupArn) => {
    const { state } = instanceHealth(view, region, { account, targetGroupArn, instance })
    return state === 'unhealthy'
  })
}

/** Do connections of the instance end at the moment, wherever it is a target? */
export function isDraining(view: View, instance: string, nowMs: number): boolean {
  return view.by('target', 'instance', instance).some((one) => (one.drainingUntilMs ?? 0) > nowMs)
}

/** One of the target groups that is not there any more, null when all are. */
export function goneTargetGroup(view: View, region: string, { account, targetGroups }: Whose) {
  return targetGroups.find((arn) => found(view, region, account, 'target-group', arn) === null)
}
