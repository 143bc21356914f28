// Bad requests for target groups and targets.

import type { Ground } from './ground.ts'
import type { Row } from './row.ts'

const NO_GROUP =
  'arn:aws:elasticloadbalancing:mallee-1:111122223333:targetgroup/none/0123456789abcdef'

type Ask = (ground: Ground) => Record<string, unknown>

const group =
  (more: object): Ask =>
  ({ vpc }) => ({ Name: 'new', Protocol: 'TCP', Port: 80, VpcId: vpc, ...more })
const targets =
  (...Targets: object[]): Ask =>
  ({ freeTargetGroup }) => ({ TargetGroupArn: freeTargetGroup, Targets })

export const TARGET_GROUPS: readonly Row[] = [
  ['nothing', 'CreateTargetGroup', {}, 'ValidationError'],
  [
    'a taken name',
    'CreateTargetGroup',
    group({ Name: 'web', Port: 81 }),
    'DuplicateTargetGroupName',
  ],
  [
    'the protocol HTTP',
    'CreateTargetGroup',
    group({ Protocol: 'HTTP' }),
    'InvalidConfigurationRequest',
  ],
  [
    'the protocol TLS',
    'CreateTargetGroup',
    group({ Protocol: 'TLS' }),
    'InvalidConfigurationRequest',
  ],
  ['no port', 'CreateTargetGroup', group({ Port: undefined }), 'ValidationError'],
  ['port 70000', 'CreateTargetGroup', group({ Port: 70_000 }), 'ValidationError'],
  ['an unknown VPC', 'CreateTargetGroup', group({ VpcId: 'vpc-00000000' }), 'ValidationError'],
  [
    'the type lambda',
    'CreateTargetGroup',
    group({ TargetType: 'lambda' }),
    'InvalidConfigurationRequest',
  ],
  [
    'the type alb',
    'CreateTargetGroup',
    group({ TargetType: 'alb' }),
    'InvalidConfigurationRequest',
  ],
  [
    'no health checks',
    'CreateTargetGroup',
    group({ HealthCheckEnabled: false }),
    'InvalidConfigurationRequest',
  ],
  ['a check of UDP', 'CreateTargetGroup', group({ HealthCheckProtocol: 'UDP' }), 'ValidationError'],
  [
    'a path for TCP',
    'CreateTargetGroup',
    group({ HealthCheckPath: '/' }),
    'InvalidConfigurationRequest',
  ],
  [
    'a path with a blank',
    'CreateTargetGroup',
    group({ HealthCheckProtocol: 'HTTP', HealthCheckPath: '/a b' }),
    'ValidationError',
  ],
  [
    'a path with a line of its own',
    'CreateTargetGroup',
    group({ HealthCheckProtocol: 'HTTP', HealthCheckPath: '/a\nserver x' }),
    'ValidationError',
  ],
  [
    'code 600',
    'CreateTargetGroup',
    group({ HealthCheckProtocol: 'HTTP', Matcher: { HttpCode: '600' } }),
    'ValidationError',
  ],
  [
    'an interval of 4 seconds',
    'CreateTargetGroup',
    group({ HealthCheckIntervalSeconds: 4 }),
    'ValidationError',
  ],
  [
    'a timeout past the interval',
    'CreateTargetGroup',
    group({ HealthCheckIntervalSeconds: 10, HealthCheckTimeoutSeconds: 11 }),
    'ValidationError',
  ],
  [
    'a threshold of 11',
    'CreateTargetGroup',
    group({ HealthyThresholdCount: 11 }),
    'ValidationError',
  ],
  ['an unknown ARN', 'ModifyTargetGroup', { TargetGroupArn: NO_GROUP }, 'TargetGroupNotFound'],
  ['an unknown name', 'DescribeTargetGroups', { Names: ['none'] }, 'TargetGroupNotFound'],
  [
    'one in use',
    'DeleteTargetGroup',
    ({ targetGroup }) => ({ TargetGroupArn: targetGroup }),
    'ResourceInUse',
  ],
  ['no target', 'RegisterTargets', targets(), 'ValidationError'],
  [
    'an instance where addresses are',
    'RegisterTargets',
    targets({ Id: 'i-00000000' }),
    'ValidationError',
  ],
  ['an address outside', 'RegisterTargets', targets({ Id: '192.0.2.1' }), 'InvalidTarget'],
  ['port 0', 'RegisterTargets', targets({ Id: '10.70.1.9', Port: 0 }), 'ValidationError'],
  [
    'an unknown zone',
    'RegisterTargets',
    targets({ Id: '10.70.1.9', AvailabilityZone: 'x' }),
    'ValidationError',
  ],
  [
    'an unknown group',
    'RegisterTargets',
    { TargetGroupArn: NO_GROUP, Targets: [{ Id: '10.70.1.9' }] },
    'TargetGroupNotFound',
  ],
  [
    'an unknown group',
    'DeregisterTargets',
    { TargetGroupArn: NO_GROUP, Targets: [{ Id: '10.70.1.9' }] },
    'TargetGroupNotFound',
  ],
  ['an unknown group', 'DescribeTargetHealth', { TargetGroupArn: NO_GROUP }, 'TargetGroupNotFound'],
  [
    'client addresses kept',
    'ModifyTargetGroupAttributes',
    ({ freeTargetGroup }) => ({
      TargetGroupArn: freeTargetGroup,
      Attributes: [{ Key: 'preserve_client_ip.enabled', Value: 'true' }],
    }),
    'InvalidConfigurationRequest',
  ],
]
