// All records of a store as text, by kind and key: what a request changed, or left alone.

import type { Kind } from '../../../gateway/store/records.ts'
import type { State } from '../../../gateway/store/state.ts'

/** Left out is what every signed request writes, and what the gateway does by itself. */
const COMPARED: Readonly<Record<Kind, boolean>> = {
  ...{ cloud: true, rack: true, host: true, token: true, account: true, 'identity-signer': true },
  ...{ vpc: true, subnet: true, 'route-table': true, 'internet-gateway': true },
  ...{ 'egress-only-gateway': true, 'nat-gateway': true, 'dhcp-options': true },
  ...{ 'security-group': true, 'prefix-list': true, 'network-acl': true, address: true },
  ...{ 'public-pool': true, 'public-address': true, peering: true, 'key-pair': true },
  ...{ block: true, 'block-space': true, 'resting-tag': true, 'private-address': true },
  ...{ 'insights-path': true, 'insights-analysis': true, image: true, blob: true },
  ...{ 'import-task': true, 'bundle-key': true },
  ...{ instance: true, interface: true, tags: true, 'client-token': true, 'preshared-key': true },
  ...{ command: true, 'command-result': true, name: true, 'placement-group': true },
  ...{ 'instance-type': true, placed: true, 'launch-template': true },
  ...{ 'launch-template-version': true, 'access-key': true, 'iam-account': true },
  ...{ 'iam-user': true, 'iam-group': true, 'iam-role': true, 'iam-profile': true },
  ...{ 'iam-policy': true, 'instance-credentials': true, 'profile-association': true },
  ...{ 'scaling-group': true, 'scaling-member': true, 'scaling-activity': true },
  ...{ 'scaling-policy': true, 'scheduled-action': true, 'instance-refresh': true },
  ...{ fleet: true, quota: true, removal: true, 'key-use': false, lease: false },
  ...{ 'load-balancer': true, 'balancer-node': true, listener: true, 'target-group': true },
  ...{ target: true, 'target-status': true, bucket: true, 'event-target': true },
  ...{ volume: true, 'volume-snapshot': true, 'ebs-settings': true, 'volume-placed': true },
  ...{ 'peer-invitation': true, peer: true, 'peer-statement': true, stated: true },
  ...{ 'peer-audit': true, 'peer-link': true, 'peer-chain': true, 'peering-endpoint': true },
  ...{ 'customer-gateway': true, 'vpn-gateway': true, 'vpn-connection': true, 'vpn-link': true },
}

/** `kind: JSON` of each record, in order. */
export function recordsOf(state: State): string[] {
  const view = state.view()
  const kinds = Object.entries(COMPARED).filter(([, isCompared]) => isCompared)
  return kinds.flatMap(([kind]) =>
    view.all(kind as Kind).map((record) => `${kind}: ${JSON.stringify(record)}`),
  )
}
