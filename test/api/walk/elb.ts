// The walk through Elastic Load Balancing: a network load balancer in two racks and its targets.

import { type Row, steps } from './row.ts'

const BALANCER = { LoadBalancerArn: '<balancer>' }
const [BALANCERS, NAMES] = [{ LoadBalancerArns: ['<balancer>'] }, { Names: ['walk'] }]
const GROUP = { TargetGroupArn: '<targets>' }
const LISTENER = { ListenerArn: '<listener>' }
const FORWARD = { DefaultActions: [{ Type: 'forward', TargetGroupArn: '<targets>' }] }
const TARGETS = { ...GROUP, Targets: [{ Id: '<instance>' }] }
const ARNS = { ResourceArns: ['<balancer>', '<targets>'] }
const CROSS_ZONE = { Key: 'load_balancing.cross_zone.enabled', Value: 'true' }
const HEALTH = 'TargetHealthDescriptions.0.TargetHealth.State'

const ROWS: readonly Row[] = [
  ['DescribeAccountLimits', {}, { want: { 'Limits.*.Name': 'network-load-balancers' } }],
  ['DescribeSSLPolicies', {}],
  [
    'CreateTargetGroup',
    { Name: 'walk', Protocol: 'TCP', Port: 80, VpcId: '<vpc>', HealthCheckIntervalSeconds: 10 },
    {
      want: { 'TargetGroups.0.TargetType': 'instance' },
      keep: { targets: 'TargetGroups.0.TargetGroupArn' },
    },
  ],
  [
    'ModifyTargetGroup',
    { ...GROUP, HealthyThresholdCount: 2 },
    { want: { 'TargetGroups.0.HealthyThresholdCount': 2 } },
  ],
  [
    'ModifyTargetGroupAttributes',
    { ...GROUP, Attributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '0' }] },
    { want: { 'Attributes.*.Value': '0' } },
  ],
  [
    'DescribeTargetGroupAttributes',
    GROUP,
    { want: { 'Attributes.*.Key': 'deregistration_delay.timeout_seconds' } },
  ],
  [
    'CreateLoadBalancer',
    {
      ...{ Name: 'walk', Type: 'network', Scheme: 'internal', SecurityGroups: ['<group>'] },
      ...{ Subnets: ['<subnet>', '<farSubnet>'], Tags: [{ Key: 'part', Value: 'é' }] },
    },
    {
      want: { 'LoadBalancers.0.State.Code': 'provisioning', 'LoadBalancers.0.VpcId': '<vpc>' },
      keep: { balancer: 'LoadBalancers.0.LoadBalancerArn' },
    },
  ],
  ['DescribeLoadBalancers', BALANCERS, { wait: 'load_balancer_exists' }],
  [
    'CreateListener',
    { ...BALANCER, Protocol: 'TCP', Port: 80, ...FORWARD },
    {
      argv: [
        ...['--load-balancer-arn', '<balancer>', '--protocol', 'TCP', '--port', '80'],
        ...['--default-actions', 'Type=forward,TargetGroupArn=<targets>'],
      ],
      want: { 'Listeners.0.Port': 80 },
      keep: { listener: 'Listeners.0.ListenerArn' },
    },
  ],
  ['RegisterTargets', TARGETS],
  [
    'DescribeLoadBalancers',
    NAMES,
    { until: true, want: { 'LoadBalancers.0.State.Code': 'active' } },
  ],
  ['DescribeLoadBalancers', BALANCERS, { wait: 'load_balancer_available' }],
  ['DescribeTargetHealth', GROUP, { until: true, want: { [HEALTH]: 'healthy' } }],
  ['DescribeTargetHealth', GROUP, { wait: 'target_in_service' }],
  ['DescribeTargetGroups', BALANCER, { want: { 'TargetGroups.0.TargetGroupName': 'walk' } }],
  ['ModifyListener', { ...LISTENER, Port: 81 }, { want: { 'Listeners.0.Port': 81 } }],
  ['DescribeListeners', BALANCER, { want: { 'Listeners.0.Port': 81 } }],
  [
    'ModifyListenerAttributes',
    { ...LISTENER, Attributes: [{ Key: 'tcp.idle_timeout.seconds', Value: '350' }] },
    { want: { 'Attributes.*.Value': '350' } },
  ],
  [
    'DescribeListenerAttributes',
    LISTENER,
    { want: { 'Attributes.*.Key': 'tcp.idle_timeout.seconds' } },
  ],
  ['DescribeRules', LISTENER, { want: { 'Rules.0.IsDefault': true } }],
  [
    'ModifyLoadBalancerAttributes',
    { ...BALANCER, Attributes: [CROSS_ZONE] },
    { want: { 'Attributes.*.Key': CROSS_ZONE.Key } },
  ],
  [
    'DescribeLoadBalancerAttributes',
    BALANCER,
    { want: { 'Attributes.*.Key': 'deletion_protection.enabled' } },
  ],
  ['DescribeCapacityReservation', BALANCER],
  ['SetIpAddressType', { ...BALANCER, IpAddressType: 'ipv4' }, { want: { IpAddressType: 'ipv4' } }],
  [
    'SetSecurityGroups',
    { ...BALANCER, SecurityGroups: ['<group>'] },
    { want: { 'SecurityGroupIds.0': '<group>' } },
  ],
  [
    'SetSubnets',
    { ...BALANCER, Subnets: ['<subnet>', '<farSubnet>'] },
    { want: { 'AvailabilityZones.*.SubnetId': '<farSubnet>' } },
  ],
  ['AddTags', { ...ARNS, Tags: [{ Key: 'more', Value: '<&>' }] }],
  ['DescribeTags', ARNS, { want: { 'TagDescriptions.*.Tags.*.Value': '<&>' } }],
  ['RemoveTags', { ...ARNS, TagKeys: ['more'] }],
  ['DescribeLoadBalancers', {}, { want: { 'LoadBalancers.length': 1 } }],
  ['DeregisterTargets', TARGETS],
  ['DescribeTargetHealth', GROUP, { until: true, want: { 'TargetHealthDescriptions.0': null } }],
  ['DescribeTargetHealth', TARGETS, { wait: 'target_deregistered' }],
  ['DeleteListener', LISTENER],
  ['DeleteLoadBalancer', BALANCER],
  ['DescribeLoadBalancers', BALANCERS, { wait: 'load_balancers_deleted' }],
  ['DeleteTargetGroup', GROUP],
  ['DescribeTargetGroups', {}, { want: { 'TargetGroups.0': null } }],
]

export const LOAD_BALANCING_STEPS = steps('elasticloadbalancing', ROWS)
