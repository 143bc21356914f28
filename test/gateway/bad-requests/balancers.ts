// Bad requests for load balancers: what is not there, does not go together, or is not had here.

import type { Ground } from './ground.ts'
import type { Row } from './row.ts'

const BASE = 'arn:aws:elasticloadbalancing:mallee-1:111122223333'
const NO_BALANCER = `${BASE}:loadbalancer/net/none/0123456789abcdef`

type Ask = (ground: Ground) => Record<string, unknown>

const balancer =
  (more: object | ((ground: Ground) => object)): Ask =>
  (ground) => ({
    ...{ Name: 'new', Type: 'network', Scheme: 'internal', Subnets: [ground.subnet] },
    ...(typeof more === 'function' ? more(ground) : more),
  })

export const BALANCERS: readonly Row[] = [
  ['an unknown action', 'DescribeBalancers', '', 'InvalidAction'],
  ['nothing', 'CreateLoadBalancer', {}, 'ValidationError'],
  [
    'the type application',
    'CreateLoadBalancer',
    balancer({ Type: 'application' }),
    'OperationNotPermitted',
  ],
  [
    'the type gateway',
    'CreateLoadBalancer',
    balancer({ Type: 'gateway' }),
    'OperationNotPermitted',
  ],
  [
    'a name of 33 characters',
    'CreateLoadBalancer',
    balancer({ Name: 'x'.repeat(33) }),
    'ValidationError',
  ],
  ['a name with a dot', 'CreateLoadBalancer', balancer({ Name: 'a.b' }), 'ValidationError'],
  ['a hyphen at the end', 'CreateLoadBalancer', balancer({ Name: 'a-' }), 'ValidationError'],
  [
    'a name of internal-',
    'CreateLoadBalancer',
    balancer({ Name: 'internal-a' }),
    'ValidationError',
  ],
  [
    'a taken name',
    'CreateLoadBalancer',
    balancer(({ farSubnet }) => ({ Name: 'web', Subnets: [farSubnet] })),
    'DuplicateLoadBalancerName',
  ],
  ['an unknown scheme', 'CreateLoadBalancer', balancer({ Scheme: 'public' }), 'ValidationError'],
  ['no subnet', 'CreateLoadBalancer', balancer({ Subnets: [] }), 'ValidationError'],
  [
    'subnets said twice',
    'CreateLoadBalancer',
    balancer(({ subnet }) => ({ SubnetMappings: [{ SubnetId: subnet }] })),
    'ValidationError',
  ],
  [
    'an unknown subnet',
    'CreateLoadBalancer',
    balancer({ Subnets: ['subnet-00000000'] }),
    'SubnetNotFound',
  ],
  [
    'a subnet of another VPC',
    'CreateLoadBalancer',
    balancer(({ farSubnet, otherSubnet }) => ({ Subnets: [farSubnet, otherSubnet] })),
    'InvalidConfigurationRequest',
  ],
  [
    'one subnet twice',
    'CreateLoadBalancer',
    balancer(({ subnet }) => ({ Subnets: [subnet, subnet] })),
    'InvalidConfigurationRequest',
  ],
  [
    'a VPC without an internet gateway',
    'CreateLoadBalancer',
    balancer(({ otherSubnet }) => ({ Scheme: 'internet-facing', Subnets: [otherSubnet] })),
    'InvalidSubnet',
  ],
  [
    'an unknown security group',
    'CreateLoadBalancer',
    balancer({ SecurityGroups: ['sg-00000000'] }),
    'InvalidSecurityGroup',
  ],
  [
    'a group of another VPC',
    'CreateLoadBalancer',
    balancer(({ otherGroup }) => ({ SecurityGroups: [otherGroup] })),
    'InvalidSecurityGroup',
  ],
  [
    'dualstack without IPv6',
    'CreateLoadBalancer',
    balancer({ IpAddressType: 'dualstack' }),
    'InvalidConfigurationRequest',
  ],
  [
    'IPv6 alone',
    'CreateLoadBalancer',
    balancer({ IpAddressType: 'dualstack-without-public-ipv4' }),
    'InvalidConfigurationRequest',
  ],
  [
    'an elastic IP inside',
    'CreateLoadBalancer',
    balancer(({ subnet, address }) => ({
      Subnets: [],
      SubnetMappings: [{ SubnetId: subnet, AllocationId: address }],
    })),
    'InvalidConfigurationRequest',
  ],
  [
    'an unknown elastic IP',
    'CreateLoadBalancer',
    balancer(({ subnet }) => ({
      Scheme: 'internet-facing',
      Subnets: [],
      SubnetMappings: [{ SubnetId: subnet, AllocationId: 'eipalloc-00000000' }],
    })),
    'AllocationIdNotFound',
  ],
  [
    'an elastic IP in use',
    'CreateLoadBalancer',
    balancer(({ subnet, bound }) => ({
      Scheme: 'internet-facing',
      Subnets: [],
      SubnetMappings: [{ SubnetId: subnet, AllocationId: bound }],
    })),
    'ResourceInUse',
  ],
  [
    'a private address outside',
    'CreateLoadBalancer',
    balancer(({ subnet }) => ({
      Subnets: [],
      SubnetMappings: [{ SubnetId: subnet, PrivateIPv4Address: '192.0.2.1' }],
    })),
    'InvalidConfigurationRequest',
  ],
  [
    'a private address in use',
    'CreateLoadBalancer',
    balancer(({ subnet, cardAddress }) => ({
      Subnets: [],
      SubnetMappings: [{ SubnetId: subnet, PrivateIPv4Address: cardAddress }],
    })),
    'InvalidConfigurationRequest',
  ],
  [
    'a pool of Outposts',
    'CreateLoadBalancer',
    balancer({ CustomerOwnedIpv4Pool: 'ipv4pool-coip-1' }),
    'InvalidConfigurationRequest',
  ],
  [
    'a tag of aws:',
    'CreateLoadBalancer',
    balancer({ Tags: [{ Key: 'aws:x', Value: '' }] }),
    'ValidationError',
  ],
  [
    'an unknown ARN',
    'DescribeLoadBalancers',
    { LoadBalancerArns: [NO_BALANCER] },
    'LoadBalancerNotFound',
  ],
  ['an unknown name', 'DescribeLoadBalancers', { Names: ['none'] }, 'LoadBalancerNotFound'],
  ['no ARN', 'DescribeLoadBalancers', { LoadBalancerArns: ['web'] }, 'ValidationError'],
  [
    'ARN and name',
    'DescribeLoadBalancers',
    ({ balancer: arn }) => ({ LoadBalancerArns: [arn], Names: ['web'] }),
    'ValidationError',
  ],
  ['a page of 401', 'DescribeLoadBalancers', { PageSize: 401 }, 'ValidationError'],
  ['no ARN', 'DeleteLoadBalancer', { LoadBalancerArn: 'web' }, 'ValidationError'],
  [
    'an unknown ARN',
    'SetSubnets',
    ({ subnet }) => ({ LoadBalancerArn: NO_BALANCER, Subnets: [subnet] }),
    'LoadBalancerNotFound',
  ],
  ['no subnet', 'SetSubnets', ({ balancer: arn }) => ({ LoadBalancerArn: arn }), 'ValidationError'],
  [
    'a subnet of another VPC',
    'SetSubnets',
    ({ balancer: arn, otherSubnet }) => ({ LoadBalancerArn: arn, Subnets: [otherSubnet] }),
    'InvalidConfigurationRequest',
  ],
  [
    'groups for one that has none',
    'SetSecurityGroups',
    ({ balancer: arn, group: id }) => ({ LoadBalancerArn: arn, SecurityGroups: [id] }),
    'InvalidConfigurationRequest',
  ],
  [
    'dualstack without IPv6',
    'SetIpAddressType',
    ({ balancer: arn }) => ({ LoadBalancerArn: arn, IpAddressType: 'dualstack' }),
    'InvalidConfigurationRequest',
  ],
  [
    'an unknown attribute',
    'ModifyLoadBalancerAttributes',
    ({ balancer: arn }) => ({ LoadBalancerArn: arn, Attributes: [{ Key: 'x', Value: '1' }] }),
    'ValidationError',
  ],
  [
    'an attribute of others',
    'ModifyLoadBalancerAttributes',
    ({ balancer: arn }) => ({
      LoadBalancerArn: arn,
      Attributes: [{ Key: 'idle_timeout.timeout_seconds', Value: '9' }],
    }),
    'InvalidConfigurationRequest',
  ],
  [
    'a value that is none',
    'ModifyLoadBalancerAttributes',
    ({ balancer: arn }) => ({
      LoadBalancerArn: arn,
      Attributes: [{ Key: 'deletion_protection.enabled', Value: 'yes' }],
    }),
    'ValidationError',
  ],
  [
    'access logs',
    'ModifyLoadBalancerAttributes',
    ({ balancer: arn }) => ({
      LoadBalancerArn: arn,
      Attributes: [{ Key: 'access_logs.s3.enabled', Value: 'true' }],
    }),
    'InvalidConfigurationRequest',
  ],
]
