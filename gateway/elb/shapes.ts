// Load balancers, listeners and target groups as the API shows them, made of their records.

import type {
  AvailabilityZone,
  Listener,
  LoadBalancer,
  TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2'
import { zoneName } from '../ec2/zones.ts'
import type {
  BalancerNodeRecord,
  ListenerRecord,
  LoadBalancerRecord,
  TargetGroupRecord,
} from '../store/balancer-records.ts'
import type { View } from '../store/state.ts'
import { arnOf, loadBalancerArn, targetGroupArn } from './arns.ts'
import { shownHealthCheck } from './health-checks.ts'
import { dnsNameOf } from './names.ts'

/** Of no zone of Route 53: clients only carry it from one answer to another request. */
const HOSTED_ZONE = 'ZMALLEEELBNET'

export function targetGroupOf(view: View, region: string, group: TargetGroupRecord): TargetGroup {
  const balancer = view.get('load-balancer', group.loadBalancer)
  return {
    TargetGroupArn: targetGroupArn(region, group),
    TargetGroupName: group.name,
    Protocol: group.protocol,
    Port: group.port,
    VpcId: group.vpc,
    ...shownHealthCheck(group.healthCheck),
    LoadBalancerArns: balancer === null ? [] : [loadBalancerArn(region, balancer)],
    TargetType: group.targetType,
    IpAddressType: group.ipAddressType,
  }
}

export function loadBalancerOf(view: View, region: string, one: LoadBalancerRecord): LoadBalancer {
  return {
    LoadBalancerArn: loadBalancerArn(region, one),
    DNSName: dnsNameOf(region, one),
    CanonicalHostedZoneId: HOSTED_ZONE,
    CreatedTime: new Date(one.createdAtMs),
    LoadBalancerName: one.name,
    Scheme: one.scheme,
    VpcId: one.vpc,
    State: { Code: one.state, Reason: one.reason === '' ? undefined : one.reason },
    Type: 'network',
    AvailabilityZones: zonesOf(view, region, one),
    SecurityGroups: one.securityGroups.length === 0 ? undefined : [...one.securityGroups],
    IpAddressType: one.ipAddressType,
    // There is no PrivateLink here: AWS' default is what is true of nothing.
    EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic:
      one.securityGroups.length === 0 ? undefined : 'on',
    EnablePrefixForIpv6SourceNat: 'off',
  }
}

export function zonesOf(
  view: View,
  region: string,
  { interfaces }: LoadBalancerRecord,
): AvailabilityZone[] {
  return interfaces.flatMap((id) => {
    const node = view.get('balancer-node', id)
    return node === null ? [] : [zoneOf(view, region, node)]
  })
}

/** Addresses are those that the load balancer was given, as AWS shows them. */
function zoneOf(view: View, region: string, node: BalancerNodeRecord): AvailabilityZone {
  const address = view.get('address', node.allocation)
  const addresses = {
    ...(address === null ? {} : { IpAddress: address.publicIp, AllocationId: address.id }),
    ...(node.ipv4 === '' ? {} : { PrivateIPv4Address: node.ipv4 }),
    ...(node.ipv6 === '' ? {} : { IPv6Address: node.ipv6 }),
  }
  return {
    ZoneName: zoneName(region, node.rack),
    SubnetId: node.subnet,
    LoadBalancerAddresses: Object.keys(addresses).length === 0 ? [] : [addresses],
  }
}

export function listenerOf(view: View, region: string, listener: ListenerRecord): Listener {
  const balancer = view.get('load-balancer', listener.loadBalancer)
  return {
    ListenerArn: arnOf(view, region, 'listener', listener),
    LoadBalancerArn: balancer === null ? undefined : loadBalancerArn(region, balancer),
    Port: listener.port,
    Protocol: listener.protocol,
    DefaultActions: actionsOf(view, region, listener),
  }
}

/** A listener's one action. */
export function actionsOf(
  view: View,
  region: string,
  { targetGroup }: ListenerRecord,
): NonNullable<Listener['DefaultActions']> {
  const group = view.get('target-group', targetGroup)
  const arn = group === null ? undefined : targetGroupArn(region, group)
  return [
    {
      Type: 'forward',
      TargetGroupArn: arn,
      Order: 1,
      ForwardConfig: { TargetGroups: [{ TargetGroupArn: arn, Weight: 1 }] },
    },
  ]
}
