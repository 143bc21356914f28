// What the desired state means for this host's instances: the references between its resources
// followed, nothing else.

import {
  type Image,
  type Instance,
  type Interface,
  type Network,
  Power,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import { bodies, bodyAt, type Desired } from '../../proto/resources.ts'
import { type ImageFormat, parseImageFormat } from '../host/qemu-img.ts'
import { tapName } from '../host/tap.ts'
import { nodeDevice } from './balancers/names.ts'

export interface NicWanted {
  readonly id: string
  /** The host's end: a tap, of a load balancer's node a veth. */
  readonly tap: string
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
  /** Secondary addresses. */
  readonly ipv4More: readonly string[]
  readonly ipv6More: readonly string[]
  readonly groupIds: readonly string[]
  readonly sourceDestCheck: boolean
  readonly deviceIndex: number
  /** A load balancer's node: without groups nothing is forbidden. */
  readonly balancer: boolean
  readonly tag: number
  readonly mtu: number
}

export interface ImageWanted {
  readonly sha256: string
  readonly format: ImageFormat
  /** Empty while its gateway still makes the list. */
  readonly listSha256: string
}

export interface MachineWanted {
  readonly id: string
  readonly power: 'running' | 'stopped' | 'terminated'
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
  readonly uuid: string
  readonly rebootCount: number
  readonly startCount: number
  readonly forceStop: boolean
  readonly image: ImageWanted | null
  /** In the order of their device indexes. */
  readonly nics: readonly NicWanted[]
  /** Keys of resources that it needs and that are not there: it cannot be made. */
  readonly missing: readonly string[]
}

/** The instances of a host, by id. */
export function wantedMachines(desired: Desired, host: string): MachineWanted[] {
  return bodies(desired, 'instance')
    .filter((instance) => instance.host === host)
    .map((instance) => wantedMachine(desired, instance))
}

/** Interfaces whose ports shall be there: those of instances that are not to be gone. */
export function wantedNics(machines: readonly MachineWanted[]): NicWanted[] {
  return machines.filter(({ power }) => power !== 'terminated').flatMap(({ nics }) => nics)
}

/** The interfaces of a host's load balancers' nodes. */
export function wantedNodeNics(desired: Desired, host: string): NicWanted[] {
  return bodies(desired, 'interface').flatMap((nic) => {
    if (!nic.balancer || nic.host !== host) return []
    const network = bodyAt(desired, `network/${nic.networkId}`, 'network')
    return network === null ? [] : [nicWanted(nic, network)]
  })
}

function wantedMachine(desired: Desired, instance: Instance): MachineWanted {
  const missing: string[] = []
  const imageKey = `image/${instance.imageId}`
  const image = bodyAt(desired, imageKey, 'image')
  const format = image === null ? null : parseImageFormat(image.format)
  if (format === null) missing.push(imageKey)
  const nics = instance.interfaceIds.flatMap((id): NicWanted[] => {
    const nic = bodyAt(desired, `interface/${id}`, 'interface')
    if (nic === null) {
      missing.push(`interface/${id}`)
      return []
    }
    const network = bodyAt(desired, `network/${nic.networkId}`, 'network')
    if (network === null) {
      missing.push(`network/${nic.networkId}`)
      return []
    }
    return [nicWanted(nic, network)]
  })
  const { id, vcpus, memoryMib, diskGib, smbiosUuid: uuid } = instance
  const { rebootCount, startCount, forceStop } = instance
  const power = powerOf(instance.power)
  return {
    ...{ id, power, vcpus, memoryMib, diskGib, uuid, rebootCount, startCount, forceStop, missing },
    nics: nics.sort((a, b) => a.deviceIndex - b.deviceIndex),
    image: image === null || format === null ? null : imageWanted(image, format),
  }
}

function imageWanted({ sha256, chunkListSha256 }: Image, format: ImageFormat): ImageWanted {
  return { sha256, format, listSha256: chunkListSha256 }
}

function nicWanted(nic: Interface, { vlanTag: tag, mtu }: Network): NicWanted {
  const { id, mac, ipv4, ipv6, ipv4More, ipv6More, groupIds, sourceDestCheck } = nic
  const { deviceIndex, balancer } = nic
  const addresses = { mac, ipv4, ipv6, ipv4More, ipv6More }
  const tap = balancer ? nodeDevice(mac) : tapName(mac)
  const guarded = { groupIds, sourceDestCheck, balancer }
  return { id, tap, ...addresses, ...guarded, deviceIndex, tag, mtu }
}

function powerOf(power: Power): MachineWanted['power'] {
  switch (power) {
    case Power.RUNNING:
      return 'running'
    case Power.TERMINATED:
      return 'terminated'
    // What a newer gateway may wish for: never more than standing still.
    default:
      return 'stopped'
  }
}
