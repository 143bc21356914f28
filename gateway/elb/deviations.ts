// How actions differ from AWS's, each in a few words, for the page that lists all of them
// (docs/ec2-actions.md). What concerns several actions is in docs/elb.md.

import type { LoadBalancingHandlers } from '../aws/handlers.ts'

export const BALANCING_DEVIATIONS: { readonly [K in keyof LoadBalancingHandlers]: string } = {
  CreateListener: 'TCP, UDP and TCP_UDP; one target group',
  CreateLoadBalancer: 'network load balancers; the name is answered inside of VPCs and their peers',
  CreateTargetGroup: 'of TCP, UDP and TCP_UDP; targets are instances and addresses',
  DescribeCapacityReservation: 'none: nobody reserves capacity',
  DescribeRules: 'default rules, which have no tags of their own',
  DescribeSSLPolicies: 'none: no listener speaks TLS',
  DescribeTargetHealth: '`unavailable` while no host of a node can be asked; no anomaly detection',
  ModifyLoadBalancerAttributes:
    'deletion protection and cross-zone; the others keep their defaults',
  ModifyTargetGroupAttributes:
    '`preserve_client_ip.enabled` is false; health thresholds and intervals keep their defaults',
  RegisterTargets: 'addresses are of the VPC or of its peers',
  SetSecurityGroups: 'there is no PrivateLink to enforce rules on',
}
