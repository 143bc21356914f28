// By which fields the mirror finds records without a walk over all of them. A field of several
// texts finds its record under each.

import type { Kind } from './records.ts'

export const INDEXED = {
  bucket: ['account'],
  instance: ['account', 'rack', 'host', 'vpc'],
  interface: ['account', 'rack', 'instance', 'subnet', 'vpc', 'securityGroups'],
  subnet: ['account', 'rack', 'vpc', 'routeTable', 'acl'],
  vpc: ['account', 'dhcpOptions'],
  'route-table': ['account', 'vpc'],
  'internet-gateway': ['account', 'vpc'],
  'egress-only-gateway': ['account', 'vpc'],
  'nat-gateway': ['account', 'vpc', 'subnet', 'rack', 'interface', 'allocation'],
  'dhcp-options': ['account'],
  'security-group': ['account', 'vpc'],
  'prefix-list': ['account'],
  'network-acl': ['account', 'vpc'],
  address: ['account', 'interface', 'publicIp', 'pool'],
  'key-pair': ['account'],
  tags: ['account'],
  'public-address': ['pool'],
  'private-address': ['subnet', 'interface'],
  'launch-template': ['account'],
  'access-key': ['account', 'user'],
  'iam-user': ['id', 'groups'],
  'iam-group': ['id'],
  'iam-role': ['id'],
  'iam-profile': ['id', 'role'],
  'profile-association': ['account', 'id', 'profile'],
  'placement-group': ['account'],
  'scaling-group': ['account', 'id'],
  'scaling-member': ['account', 'group'],
  'scaling-activity': ['account', 'group'],
  'scaling-policy': ['account', 'group'],
  'scheduled-action': ['account', 'group'],
  'instance-refresh': ['account', 'group'],
  'load-balancer': ['account', 'vpc'],
  'balancer-node': ['account', 'loadBalancer', 'rack'],
  listener: ['loadBalancer', 'targetGroup'],
  'target-group': ['account', 'loadBalancer'],
  target: ['group', 'instance'],
  'insights-path': ['account'],
  'insights-analysis': ['account', 'path'],
  'import-task': ['account'],
  volume: ['account', 'rack', 'host', 'instances', 'snapshot'],
  'volume-snapshot': ['account', 'rack', 'volume', 'host', 'base'],
} as const satisfies { readonly [K in Kind]?: readonly string[] }

export type IndexedKind = keyof typeof INDEXED
export type IndexField<K extends IndexedKind> = (typeof INDEXED)[K][number]
