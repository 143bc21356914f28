// A host's place in its rack's storage network: a port of the switch with the network's VLAN tag
// and the host's address, and the filter that keeps everybody else out.

import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { reconcileOnce } from '../../common/reconcile.ts'
import type { RackConfig } from '../../proto/gen/mallee/v1/desired_pb.js'
import { bodies, bodyAt, type Desired } from '../../proto/resources.ts'
import { formatAddress, formatCidr, mustCidr } from '../../topology/cidr.ts'
import { gatewayMac, linkLocalOf, storageAddress, storageNetwork } from '../../topology/plan.ts'
import { STORAGE_NETWORK_LENGTH } from '../../topology/ranges.ts'
import { type AccessPort, accessPortsReconciler } from '../host/access-ports.ts'
import { listLinks } from '../host/ip.ts'
import { deleteTable } from '../host/nft.ts'
import { flowsInstalled, listPorts, OURS, replaceFlows, type Switch } from '../host/ovs.ts'
import { TRUNK_MARK } from '../host/trunk.ts'
import { storageFlows } from '../nc/network-flows.ts'
import { storageFilter } from './filter.ts'
import { STORAGE_MARK, STORAGE_PORT, STORAGE_TABLE } from './names.ts'

/** Of a rack of one host, which has no trunk. */
const DEFAULT_MTU = 1500

export interface StorageNetOptions {
  readonly exec: Exec
  readonly log: Log
  readonly config: {
    readonly hostIndex: number
    readonly trunk: string | null
  }
  /** Its daemons, bridge and trunk are the caller's to keep. */
  readonly sw: Switch
  /** False where the operator has made another network: then nothing of this one stays. */
  readonly isOn: boolean
  /** With neither the role cc nor nc on this host nobody else looks after the switch's flows. */
  readonly ownsFlows: boolean
}

/** One pass; how many steps it took. Throws Conflict when a tenants' network has the tag. */
export async function keepStorageNet(
  { exec, log, config, sw, isOn: isWanted, ownsFlows }: StorageNetOptions,
  desired: Desired,
): Promise<number> {
  const rack = bodyAt(desired, 'rack', 'rack')
  if (rack === null) throw new MalleeError('BadMessage', 'the desired state names no rack')
  const problem = isWanted ? tagProblem(rack, desired) : null
  const isOn = isWanted && rack.storageVlanTag > 0 && problem === null
  const network = storageNetwork(mustCidr(rack.cloudFabric), rack.rackIndex)
  // Before there is an address to be reached at.
  let steps = await reconcileOnce(storageFilter(exec, isOn ? formatCidr(network) : null), log)
  const mtu = await trunkMtu(exec, config.trunk)
  const ports = isOn ? [storagePort(rack, config.hostIndex, mtu)] : []
  const options = { exec, sw, name: 'storage-net', mark: STORAGE_MARK }
  steps += await reconcileOnce(accessPortsReconciler(options, ports), log)
  if (ownsFlows) steps += await keepFlows(exec, sw)
  if (problem !== null) throw new MalleeError('Conflict', problem)
  return steps
}

/** The switch must run. Its flows are for who keeps them to take away. */
export async function removeStorageNet({
  exec,
  log,
  sw,
}: Pick<StorageNetOptions, 'exec' | 'log' | 'sw'>): Promise<void> {
  const options = { exec, sw, name: 'storage-net', mark: STORAGE_MARK }
  await reconcileOnce(accessPortsReconciler(options, []), log)
  await deleteTable(exec, 'inet', STORAGE_TABLE)
}

/** A host's address in the storage network of its rack; null where the rack has none. */
export function storageAddressOf(rack: RackConfig, hostIndex: number): string | null {
  if (rack.storageVlanTag === 0) return null
  return formatAddress(storageAddress(mustCidr(rack.cloudFabric), rack.rackIndex, hostIndex))
}

export function storagePort(rack: RackConfig, hostIndex: number, mtu: number): AccessPort {
  const { storageVlanTag: tag, cloudFabric, rackIndex } = rack
  const mac = gatewayMac(rackIndex, hostIndex, tag)
  const address = formatAddress(storageAddress(mustCidr(cloudFabric), rackIndex, hostIndex))
  // Neighbour discovery wants one that is the link's own (RFC 4291, 2.1).
  const addresses = [`${address}/${STORAGE_NETWORK_LENGTH}`, `${linkLocalOf(mac)}/64`]
  return { name: STORAGE_PORT, tag, mac, mtu, addresses }
}

/** Clouds of earlier versions gave that tag to networks, too. */
function tagProblem({ storageVlanTag: tag, rack }: RackConfig, desired: Desired): string | null {
  const other = bodies(desired, 'network').find(({ vlanTag }) => vlanTag === tag)
  return other === undefined || tag === 0
    ? null
    : `rack ${rack} has no storage network: ${other.id} has its VLAN tag ${tag}; delete that subnet`
}

async function trunkMtu(exec: Exec, trunk: string | null): Promise<number> {
  if (trunk === null) return DEFAULT_MTU
  const link = (await listLinks(exec)).find(({ name }) => name === trunk)
  return link?.mtu ?? DEFAULT_MTU
}

async function keepFlows(exec: Exec, sw: Switch): Promise<number> {
  const ports = (await listPorts(exec, sw)).filter(({ ofport }) => ofport > 0)
  const marked = (mark: string) => ports.find(({ externalIds }) => externalIds[OURS] === mark)
  const [storage, trunk] = [marked(STORAGE_MARK), marked(TRUNK_MARK)]
  const flows = ['table=0,priority=0,actions=drop']
  if (storage?.tag != null) {
    const { tag, ofport } = storage
    flows.push(...storageFlows({ tag, ofport }, trunk?.ofport ?? null))
  }
  if (await flowsInstalled(exec, sw, flows)) return 0
  await replaceFlows(exec, sw, flows)
  return 1
}
