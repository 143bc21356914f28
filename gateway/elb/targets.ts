// RegisterTargets, DeregisterTargets, DescribeTargetHealth.

import type {
  TargetDescription,
  TargetHealthDescription,
} from '@aws-sdk/client-elastic-load-balancing-v2'
import { contains, formatAddress, mustCidr, parseAddress } from '../../topology/cidr.ts'
import type { LoadBalancingHandlers } from '../aws/handlers.ts'
import { peersOf } from '../control/presence.ts'
import { zoneName } from '../ec2/zones.ts'
import type { TargetGroupRecord, TargetRecord } from '../store/balancer-records.ts'
import { EVERY_RACK } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { named, oneInStore } from './arns.ts'
import { invalid } from './errors.ts'
import { healthOf, NOT_REGISTERED } from './health.ts'
import type { BalancingParts } from './parts.ts'
import { checkPort } from './target-groups.ts'
import {
  endTargets,
  instanceTarget,
  invalidTarget,
  type NewTarget,
  putTargets,
} from './target-records.ts'

type Handlers = Required<
  Pick<LoadBalancingHandlers, 'RegisterTargets' | 'DeregisterTargets' | 'DescribeTargetHealth'>
>

/** Targets of one request: what a transaction of the store holds. */
const MAX_TARGETS = 1_000
/** The zone of an address that nodes of all zones use. */
const ALL = 'all'

export function targetHandlers(parts: BalancingParts): Handlers {
  const { state, region } = parts
  return {
    RegisterTargets: async ({ caller, nowMs }, { TargetGroupArn: arn = '', Targets = [] }) => {
      checkCount(Targets)
      await state.update(async (tx) => {
        const group = await oneInStore(tx, region, caller.account, 'target-group', arn)
        const view = await state.fresh()
        const targets = []
        for (const one of Targets) targets.push(await newTarget(tx, view, region, group, one))
        await putTargets(tx, state, group, targets, nowMs)
      })
      return {}
    },

    DeregisterTargets: async ({ caller, nowMs }, { TargetGroupArn: arn = '', Targets = [] }) => {
      checkCount(Targets)
      await state.update(async (tx) => {
        const group = await oneInStore(tx, region, caller.account, 'target-group', arn)
        const view = await state.fresh()
        const there = view.by('target', 'group', group.id)
        const ended = Targets.flatMap((asked) => there.filter((one) => isMeant(group, asked, one)))
        await endTargets(tx, group, ended, nowMs)
      })
      return {}
    },

    DescribeTargetHealth: async ({ caller }, { TargetGroupArn: arn = '', Targets = [] }) => {
      const view = await state.fresh()
      const [group] = named(view, region, caller.account, 'target-group', [arn])
      if (group === undefined) throw new RangeError(`${arn} was found and is not there`)
      const there = view.by('target', 'group', group.id)
      const shown = (one: TargetRecord) => descriptionOf(view, region, group, one)
      if (Targets.length === 0) return { TargetHealthDescriptions: there.map(shown) }
      const asked = Targets.flatMap((target) => {
        const meant = there.filter((one) => isMeant(group, target, one))
        return meant.length === 0 ? [strangerOf(group, target)] : meant.map(shown)
      })
      return { TargetHealthDescriptions: asked }
    },
  }
}

function checkCount(targets: readonly TargetDescription[]): void {
  if (targets.length === 0) throw invalid('At least one target must be specified')
  if (targets.length <= MAX_TARGETS) return
  throw invalid(`The request names ${targets.length} targets; at most ${MAX_TARGETS} are allowed`)
}

async function newTarget(
  tx: Transaction,
  view: View,
  region: string,
  group: TargetGroupRecord,
  { Id: id = '', Port: port = group.port, AvailabilityZone: zone, QuicServerId }: TargetDescription,
): Promise<NewTarget> {
  checkPort(port)
  if (QuicServerId !== undefined) throw invalid('A server ID is only for targets of QUIC')
  if (group.targetType === 'ip') return addressTarget(view, region, group, { id, port, zone })
  if (zone !== undefined) {
    const text = "An Availability Zone cannot be specified for targets of the type 'instance'"
    throw invalid(text)
  }
  const { state, ...target } = await instanceTarget(tx, group, id, port)
  if (state === 'running') return target
  const text = 'The following targets are not in a running state and cannot be registered'
  throw invalidTarget(`${text}: '${id}'`)
}

/** An address of the VPC's subnets or of a peer's blocks: others cannot be reached from here. */
function addressTarget(
  view: View,
  region: string,
  group: TargetGroupRecord,
  { id, port, zone }: { id: string; port: number; zone: string | undefined },
): NewTarget {
  const parsed = parseAddress(id)
  const family = group.ipAddressType === 'ipv6' ? 6 : 4
  if (!parsed.ok || parsed.value.family !== family) {
    throw invalid(
      `The IP address '${id.slice(0, 100)}' is not a valid ${group.ipAddressType} address`,
    )
  }
  const address = formatAddress(parsed.value)
  const isIn = (cidr: string) => cidr !== '' && contains(mustCidr(cidr), parsed.value)
  const subnet = view
    .subnetsOf('vpc', group.vpc)
    .find(({ ipv4Cidr, ipv6Cidr }) => isIn(ipv4Cidr) || isIn(ipv6Cidr))
  const named = zone === undefined ? null : rackNamed(view, region, zone)
  if (subnet !== undefined) {
    const own = subnet.rack === EVERY_RACK ? '' : subnet.rack
    if (named !== null && named !== '' && named !== own) {
      const text = `The Availability Zone '${zone}' is not that of the IP address '${id}'`
      throw invalidTarget(text)
    }
    return { address, port, instance: '', rack: named ?? own }
  }
  const isPeers = peersOf(view, group.vpc)
    .map((peer) => view.get('vpc', peer))
    .some((peer) => [...(peer?.ipv4Cidrs ?? []), ...(peer?.ipv6Cidrs ?? [])].some(isIn))
  if (!isPeers) {
    const text = `The IP address '${id}' is neither in a subnet of ${group.vpc} nor in a VPC that is its peer`
    throw invalidTarget(text)
  }
  if (named !== null) return { address, port, instance: '', rack: named }
  throw invalid(
    `An Availability Zone must be specified for the IP address '${id}', which is outside the VPC`,
  )
}

/** '' for all. */
function rackNamed(view: View, region: string, zone: string): string {
  if (zone === ALL) return ''
  const rack = view.all('rack').find(({ name }) => zoneName(region, name) === zone)
  if (rack !== undefined) return rack.name
  throw invalid(`The Availability Zone '${zone.slice(0, 100)}' is not valid`)
}

/** Without a port the request means the group's own. */
function isMeant(
  group: TargetGroupRecord,
  { Id: id = '', Port: port = group.port }: TargetDescription,
  target: TargetRecord,
): boolean {
  if (target.port !== port) return false
  if (group.targetType === 'instance') return target.instance === id
  const parsed = parseAddress(id)
  return parsed.ok && formatAddress(parsed.value) === target.address
}

function descriptionOf(
  view: View,
  region: string,
  group: TargetGroupRecord,
  target: TargetRecord,
): TargetHealthDescription {
  const { address, port, instance, rack } = target
  const { state, reason, description } = healthOf(view, group, target)
  const checked = group.healthCheck.port === 0 ? port : group.healthCheck.port
  return {
    Target: {
      Id: instance === '' ? address : instance,
      Port: port,
      ...(instance === '' && {
        AvailabilityZone: rack === '' ? ALL : zoneName(region, rack),
      }),
    },
    HealthCheckPort: String(checked),
    TargetHealth: {
      State: state,
      ...(reason !== '' && { Reason: reason as never, Description: description }),
    },
  }
}

function strangerOf(
  group: TargetGroupRecord,
  { Id, Port = group.port, AvailabilityZone }: TargetDescription,
): TargetHealthDescription {
  const { state, reason, description } = NOT_REGISTERED
  const checked = group.healthCheck.port === 0 ? Port : group.healthCheck.port
  return {
    Target: { Id, Port, ...(AvailabilityZone !== undefined && { AvailabilityZone }) },
    HealthCheckPort: String(checked),
    TargetHealth: { State: state, Reason: reason as never, Description: description },
  }
}
