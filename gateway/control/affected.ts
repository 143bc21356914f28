// Which resources of which racks a change of a record touches. Together with resourceAt this makes
// a delta: property-tested against the whole desired state.

import { EVERY_RACK } from '../store/network-records.ts'
import type { Kind, Records } from '../store/records.ts'
import type { AppliedChange, View } from '../store/state.ts'
import * as balancers from './affected-balancers.ts'
import * as peers from './affected-peers.ts'
import * as snapshots from './affected-snapshots.ts'
import * as tenants from './affected-tenants.ts'
import * as volumes from './affected-volumes.ts'
import * as vpns from './affected-vpns.ts'
import { gatewaysOf, isGateway } from './desired-tunnels.ts'
import { type Batch, differs, inRacks, type Seen, type Touched, versions } from './touched.ts'

/** Of these a change says what it touches only together with the record that it replaced. */
const NEEDS_BEFORE: ReadonlySet<string> = new Set([
  'subnet',
  'vpc',
  'interface',
  'address',
  'internet-gateway',
  'egress-only-gateway',
  'nat-gateway',
  'peering',
  'peer',
  'iam-profile',
  'iam-role',
  'security-group',
  'network-acl',
  'route-table',
  'load-balancer',
  'balancer-node',
  'listener',
  'volume',
  'volume-snapshot',
  'vpn-gateway',
  'vpn-connection',
])

/** By these a rack may come to know a VPC, or to know it no more. */
const MOVES_VPCS = ['subnet', 'peering', 'vpn-gateway', 'vpn-connection']

/** False when it is not known well enough what these changes touch: then all may be. */
export function canTell(changes: readonly AppliedChange[]): boolean {
  return changes.every(
    ({ key, before }) => before !== undefined || !NEEDS_BEFORE.has(key.split('/')[0] ?? ''),
  )
}

/**
 * Keys that changes may have changed; more than really changed is allowed, fewer is not. `view` is
 * what they led to, and all of one revision are given together. See canTell.
 */
export function touchedBy(view: View, changes: readonly AppliedChange[]): Touched[] {
  const kinds = new Set(changes.map(({ key }) => key.split('/')[0]))
  const batch: Batch = {
    view,
    keys: new Set(changes.map(({ key }) => key)),
    // Then racks that had a VPC may have it no more, and must hear of what was in it.
    movesVpcs: MOVES_VPCS.some((kind) => kinds.has(kind)),
    movesNodes: ['balancer-node', 'listener', 'load-balancer'].some((kind) => kinds.has(kind)),
  }
  return changes.flatMap((change) => touchedByOne(batch, change))
}

function touchedByOne(batch: Batch, change: AppliedChange): Touched[] {
  const { view } = batch
  const [kind = '', id = '', more = ''] = change.key.split('/')
  switch (kind) {
    case 'cloud':
      return [{ key: 'rack', rack: null }, ...allTunnels(view), ...peers.touchedByPlan(batch)]
    case 'rack':
      return touchedByRack(view, id, seen(view, change, 'rack', id))
    case 'host':
      return touchedByHost(batch, [id, more], seen(view, change, 'host', id, more))
    case 'volume': {
      const volume = seen(view, change, 'volume', id)
      return [...volumes.touchedByVolume(volume), ...snapshots.touchedByVolumeOf(view, volume)]
    }
    case 'volume-snapshot': {
      const snapshot = seen(view, change, 'volume-snapshot', id)
      return [...volumes.touchedBySource(view, id), ...snapshots.touchedBySnapshot(view, snapshot)]
    }
    case 'preshared-key':
      return id.split('|').flatMap((rack) => tunnelsTo(view, rack))
    case 'image':
      return [{ key: change.key, rack: null }]
    case 'blob':
      return [...view.all('image')]
        .filter(({ sha256 }) => sha256 === id)
        .map((image) => ({ key: `image/${image.id}`, rack: null }))
    case 'instance':
      return touchedByInstance(seen(view, change, 'instance', id))
    case 'profile-association':
    case 'instance-credentials':
      return touchedByRole(view, id)
    case 'iam-role': {
      const role = seen(view, change, 'iam-role', id, more)
      if (!differs(role, ['trust', 'name'])) return []
      return versions(role)
        .flatMap((one) => view.by('iam-profile', 'role', one.id))
        .flatMap((profile) => touchedByProfile(view, profile.id))
    }
    case 'iam-profile': {
      const ids = versions(seen(view, change, 'iam-profile', id, more)).map((one) => one.id)
      return ids.flatMap((profile) => touchedByProfile(view, profile))
    }
    case 'tags':
      return tenants.touchedByTags(view, id)
    case 'subnet': {
      const subnet = seen(view, change, 'subnet', id)
      return [...tenants.touchedBySubnet(batch, subnet), ...tunnelsWith(view, subnet)]
    }
    case 'interface': {
      const one = seen(view, change, 'interface', id)
      const racks = tenants.movedRacks(view, one)
      return [
        ...tenants.touchedByInterface(batch, one),
        ...balancers.touchedByCard(batch, id),
        ...racks.flatMap((rack) => tunnelsTo(view, rack)),
      ]
    }
    case 'vpc':
      return touchedByVpc(batch, seen(view, change, 'vpc', id))
    case 'peering': {
      const peering = seen(view, change, 'peering', id)
      return [...tenants.touchedByPeering(batch, peering), ...peers.touchedByRemote(batch, peering)]
    }
    case 'peer':
      return peers.touchedByPeer(batch, seen(view, change, 'peer', id))
    case 'peer-statement':
      return peers.touchedByStatement(batch, id, change.key.split('/').slice(2))
    case 'peer-link':
      return peers.touchedByLink(view, change.key.split('/').slice(1))
    case 'customer-gateway':
      return vpns.touchedByCustomerGateway(view, seen(view, change, kind, id))
    case 'vpn-gateway':
      return vpns.touchedByVpnGateway(batch, seen(view, change, kind, id))
    case 'vpn-connection':
      return vpns.touchedByConnection(batch, seen(view, change, kind, id))
    case 'vpn-link':
      return vpns.touchedByVpnLink(batch, seen(view, change, kind, id))
    case 'security-group':
      return tenants.touchedByGroup(batch, seen(view, change, 'security-group', id))
    case 'prefix-list':
      return tenants.touchedByPrefixList(batch, id)
    case 'network-acl':
      return tenants.touchedByAcl(batch, seen(view, change, 'network-acl', id))
    case 'dhcp-options':
      return tenants.touchedByDhcpOptions(batch, id)
    case 'route-table':
      return tenants.touchedByRouteTable(batch, seen(view, change, 'route-table', id))
    case 'internet-gateway':
    case 'egress-only-gateway':
      return tenants.touchedByTarget(batch, seen(view, change, kind, id))
    case 'nat-gateway':
      return tenants.touchedByNat(batch, seen(view, change, kind, id))
    case 'address':
      return tenants.touchedByAddress(batch, seen(view, change, 'address', id))
    case 'load-balancer':
      return balancers.touchedByBalancer(batch, seen(view, change, kind, id))
    case 'balancer-node':
      return balancers.touchedByNode(batch, seen(view, change, kind, id))
    case 'listener':
      return balancers.touchedByListener(batch, seen(view, change, kind, id))
    case 'target-group':
      return balancers.touchedByTargetGroup(batch, seen(view, change, kind, id))
    case 'target':
      return balancers.touchedByTarget(batch, id, change.key)
    case 'target-status':
      return balancers.touchedByStatus(batch, id)
    default:
      return []
  }
}

function seen<K extends Kind>(
  view: View,
  { before }: AppliedChange,
  kind: K,
  ...id: readonly string[]
): Seen<Records[K]> {
  return {
    id: id.at(-1) ?? '',
    before: before as Records[K] | null | undefined,
    after: view.get(kind, ...id),
  }
}

function touchedByInstance(change: Seen<Records['instance']>): Touched[] {
  const isKnown = change.before !== undefined
  const racks = isKnown ? versions(change).map(({ rack }) => rack) : null
  return inRacks(racks, `instance/${change.id}`)
}

function touchedByProfile(view: View, profile: string): Touched[] {
  return view
    .by('profile-association', 'profile', profile)
    .flatMap(({ instance }) => touchedByRole(view, instance))
}

/** What an instance acts as is a part of it. */
function touchedByRole(view: View, instance: string): Touched[] {
  const record = view.get('instance', instance)
  return record === null ? [] : [{ key: `instance/${instance}`, rack: record.rack }]
}

function touchedByVpc(batch: Batch, change: Seen<Records['vpc']>): Touched[] {
  const touched = tenants.touchedByVpc(batch, change)
  if (!differs(change, ['ipv4Cidrs', 'ipv6Cidrs'])) return touched
  const { view } = batch
  return [
    ...touched,
    ...peers.touchedByBlocks(view, change.id),
    ...vpns.touchedByVpnBlocks(view, change.id),
  ]
}

function touchedByRack(view: View, rack: string, change: Seen<Records['rack']>): Touched[] {
  // Rare, and both ends of every tunnel of the rack hang on it.
  const own = [{ key: 'rack', rack }, ...allTunnels(view)]
  if (!differs(change, ['index'])) return own
  const instances = view
    .instancesOf('rack', rack)
    .map(({ id }) => ({ key: `instance/${id}`, rack }))
  return [...own, ...instances, ...tenants.touchedByEdge(view, rack)]
}

function touchedByHost(
  batch: Batch,
  [rack, host]: readonly [string, string],
  change: Seen<Records['host']>,
): Touched[] {
  const { view } = batch
  const portal = volumes.touchedByPortal(view, change)
  // Hosts say every moment how much room they have, and what else concerns nobody but the gateway.
  if (change.before && change.after && isSameToOthers(change.before, change.after)) return portal
  // The rack's own resource names its members.
  const own = [
    { key: 'rack', rack },
    { key: `tunnel/${rack}/${host}`, rack: null },
    ...tunnelsTo(view, rack),
    ...portal,
  ]
  if (differs(change, ['roles'])) {
    own.push(...peers.touchedByBorder(view, rack, host))
  }
  const isHere = (one: Records['host'] | null): boolean => one?.status?.connected === true
  if (change.before === undefined || isHere(change.before) !== isHere(change.after)) {
    own.push(...vpns.touchedByHolder(batch, rack, host))
  }
  const isAlone = gatewaysOf(view, rack).every((one) => one.host === host)
  const edge = (one: Records['host'] | null | undefined): string =>
    one === null || one === undefined || !isGateway(one)
      ? ''
      : `${one.index} ${isAlone ? '' : one.status?.connected}`
  const isSame = change.before !== undefined && edge(change.before) === edge(change.after)
  return isSame ? own : [...own, ...tenants.touchedByEdge(view, rack)]
}

/** Of a host, what rackAt and gatewaysOf read. */
function isSameToOthers(a: Records['host'], b: Records['host']): boolean {
  const told = ({ index, roles, keyFingerprint, status }: Records['host']): string => {
    const { wireguardPublicKey, wireguardEndpoints, connected } = status ?? {}
    const tunnel = [wireguardPublicKey, wireguardEndpoints, connected]
    return JSON.stringify([index, roles, keyFingerprint, ...tunnel])
  }
  return told(a) === told(b)
}

/** Tunnels whose allowed prefixes have the subnet or what is in it. */
function tunnelsWith(view: View, change: Seen<Records['subnet']>): Touched[] {
  if (!differs(change, ['ipv4Cidr', 'ipv6Cidr'])) return []
  const rack = rackOf(change)
  return rack === null || rack === EVERY_RACK ? allTunnels(view) : tunnelsTo(view, rack)
}

function allTunnels(view: View): Touched[] {
  return tunnelsOf(view.all('host'))
}

function tunnelsTo(view: View, rack: string): Touched[] {
  return tunnelsOf(view.withPrefix('host', `${rack}/`))
}

function tunnelsOf(hosts: readonly Records['host'][]): Touched[] {
  return hosts
    .filter((host) => host.roles.includes('cc'))
    .map(({ rack, host }) => ({ key: `tunnel/${rack}/${host}`, rack: null }))
}

/** Null when a deleted record no longer says where it was: then every rack is told. */
function rackOf({ before, after }: Seen<{ readonly rack: string }>): string | null {
  return (after ?? before)?.rack ?? null
}
