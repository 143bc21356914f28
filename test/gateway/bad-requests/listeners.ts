// Bad requests for listeners, rules and tags, and for what is the same for all load balancers.

import type { Ground } from './ground.ts'
import type { Row } from './row.ts'

const BASE = 'arn:aws:elasticloadbalancing:mallee-1:111122223333'
const NO_BALANCER = `${BASE}:loadbalancer/net/none/0123456789abcdef`
const NO_GROUP = `${BASE}:targetgroup/none/0123456789abcdef`
const NO_LISTENER = `${BASE}:listener/net/none/0123456789abcdef/0123456789abcdef`

type Ask = (ground: Ground) => Record<string, unknown>

const listener =
  (more: object | ((ground: Ground) => object)): Ask =>
  (ground) => ({
    ...{ LoadBalancerArn: ground.balancer, Protocol: 'TCP', Port: 81 },
    DefaultActions: [{ Type: 'forward', TargetGroupArn: ground.freeTargetGroup }],
    ...(typeof more === 'function' ? more(ground) : more),
  })

export const LISTENERS: readonly Row[] = [
  ['nothing', 'CreateListener', {}, 'ValidationError'],
  [
    'an unknown load balancer',
    'CreateListener',
    listener({ LoadBalancerArn: NO_BALANCER }),
    'LoadBalancerNotFound',
  ],
  [
    'an unknown group',
    'CreateListener',
    listener({ DefaultActions: [{ Type: 'forward', TargetGroupArn: NO_GROUP }] }),
    'TargetGroupNotFound',
  ],
  ['a port in use', 'CreateListener', listener({ Port: 80 }), 'DuplicateListener'],
  ['the protocol TLS', 'CreateListener', listener({ Protocol: 'TLS' }), 'UnsupportedProtocol'],
  ['the protocol QUIC', 'CreateListener', listener({ Protocol: 'QUIC' }), 'UnsupportedProtocol'],
  ['another protocol', 'CreateListener', listener({ Protocol: 'UDP' }), 'IncompatibleProtocols'],
  [
    'a certificate',
    'CreateListener',
    listener({ Certificates: [{ CertificateArn: 'arn:aws:acm:x' }] }),
    'InvalidConfigurationRequest',
  ],
  [
    'a redirect',
    'CreateListener',
    listener({
      DefaultActions: [{ Type: 'redirect', RedirectConfig: { StatusCode: 'HTTP_301' } }],
    }),
    'InvalidLoadBalancerAction',
  ],
  [
    'two actions',
    'CreateListener',
    listener(({ freeTargetGroup: TargetGroupArn }) => ({
      DefaultActions: [
        { Type: 'forward', TargetGroupArn },
        { Type: 'forward', TargetGroupArn },
      ],
    })),
    'TooManyActions',
  ],
  [
    'two groups',
    'CreateListener',
    listener(({ freeTargetGroup, targetGroup }) => ({
      DefaultActions: [
        {
          Type: 'forward',
          ForwardConfig: {
            TargetGroups: [{ TargetGroupArn: freeTargetGroup }, { TargetGroupArn: targetGroup }],
          },
        },
      ],
    })),
    'InvalidConfigurationRequest',
  ],
  ['neither way', 'DescribeListeners', {}, 'ValidationError'],
  ['an unknown ARN', 'DescribeListeners', { ListenerArns: [NO_LISTENER] }, 'ListenerNotFound'],
  ['an unknown ARN', 'ModifyListener', { ListenerArn: NO_LISTENER, Port: 81 }, 'ListenerNotFound'],
  ['an unknown ARN', 'DeleteListener', { ListenerArn: NO_LISTENER }, 'ListenerNotFound'],
  [
    'port 0',
    'ModifyListener',
    ({ listener: arn }) => ({ ListenerArn: arn, Port: 0 }),
    'ValidationError',
  ],
  [
    'a timeout of 59 seconds',
    'ModifyListenerAttributes',
    // As text: clients of some years ago do not know it.
    ({ listener: arn }) =>
      `ListenerArn=${arn}&Attributes.member.1.Key=tcp.idle_timeout.seconds&Attributes.member.1.Value=59`,
    'ValidationError',
  ],
  ['neither way', 'DescribeRules', {}, 'ValidationError'],
  ['no ARN', 'DescribeRules', { RuleArns: ['x'] }, 'ValidationError'],
  [
    'an unknown ARN',
    'AddTags',
    { ResourceArns: [NO_LISTENER], Tags: [{ Key: 'a' }] },
    'ListenerNotFound',
  ],
  ['no ARN', 'DescribeTags', { ResourceArns: ['x'] }, 'ValidationError'],
  [
    'an unknown policy',
    'DescribeSSLPolicies',
    { Names: ['ELBSecurityPolicy-2016-08'] },
    'SSLPolicyNotFound',
  ],
  [
    'an unknown ARN',
    'DescribeCapacityReservation',
    `LoadBalancerArn=${NO_BALANCER}`,
    'LoadBalancerNotFound',
  ],
  [
    'a rule',
    'CreateRule',
    ({ listener: arn, targetGroup }) => ({
      ListenerArn: arn,
      Priority: 1,
      Conditions: [{ Field: 'path-pattern', Values: ['/'] }],
      Actions: [{ Type: 'forward', TargetGroupArn: targetGroup }],
    }),
    'UnsupportedOperation',
  ],
]
