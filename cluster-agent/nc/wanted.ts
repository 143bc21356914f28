// What the desired state means for this host's instances: the references between its resources
// followed, nothing else.

import {
  type Image,
  type Instance,
  type Interface,
  type Network,
  Power,
} from '../../proto/gen/mallee/v1/desired_pb.js'
import type { RbdPool, VolumeAttachment } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { bodies, bodyAt, type Desired } from '../../proto/resources.ts'
import { type ImageFormat, parseImageFormat } from '../host/qemu-img.ts'
import type { RbdImage } from '../host/qemu-volume-protocols.ts'
import type { QemuVolume } from '../host/qemu-volumes.ts'
import { tapName } from '../host/tap.ts'
import { nodeDevice } from './balancers/names.ts'

const GIB = 1024 ** 3

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
  readonly sizeBytes: number
}

/** A file that is no disk. */
export type FileWanted = Omit<ImageWanted, 'format' | 'sizeBytes'>

/** What a machine boots instead of what its disk has for that. */
export interface KernelWanted {
  readonly kernel: FileWanted
  readonly ramdisk: FileWanted | null
  readonly commandLine: string
}

/** A disk of the host's own that goes with its instance. */
export interface EphemeralWanted {
  readonly name: string
  readonly sizeBytes: number
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
  /** Null also for one that boots from a volume. */
  readonly image: ImageWanted | null
  /** Null also when it is one of what is missing. */
  readonly kernel: KernelWanted | null
  /** In the order of their device indexes. */
  readonly nics: readonly NicWanted[]
  /** In the order of the disks of a guest that starts. */
  readonly volumes: readonly QemuVolume[]
  readonly ephemeral: readonly EphemeralWanted[]
  /** Keys of resources that it needs and that are not there: it cannot be made. */
  readonly missing: readonly string[]
  /** Those of them that it needs also when it has its disk. */
  readonly missingToStart: readonly string[]
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
  const hasDisk = instance.imageId !== ''
  if (hasDisk && format === null) missing.push(imageKey)
  const toStart: string[] = []
  const volumes = instance.volumes.map(volumeWanted).sort(byPlace)
  if (!hasDisk && !volumes.some(({ isBoot }) => isBoot)) toStart.push('its root volume')
  const kernel = kernelWanted(desired, instance, toStart)
  const nics = instance.interfaceIds.flatMap((id): NicWanted[] => {
    const nic = bodyAt(desired, `interface/${id}`, 'interface')
    if (nic === null) {
      toStart.push(`interface/${id}`)
      return []
    }
    const network = bodyAt(desired, `network/${nic.networkId}`, 'network')
    if (network === null) {
      toStart.push(`network/${nic.networkId}`)
      return []
    }
    return [nicWanted(nic, network)]
  })
  const { id, vcpus, memoryMib, diskGib, smbiosUuid: uuid } = instance
  const { rebootCount, startCount, forceStop } = instance
  const power = powerOf(instance.power)
  return {
    ...{ id, power, vcpus, memoryMib, diskGib, uuid, rebootCount, startCount, forceStop, kernel },
    ...{ missing: [...missing, ...toStart], missingToStart: toStart },
    nics: nics.sort((a, b) => a.deviceIndex - b.deviceIndex),
    volumes: volumes.map(({ deviceName: _, ...volume }) => volume),
    ephemeral: instance.ephemeralDisks.map(({ name, sizeGib }) => ({
      name,
      sizeBytes: sizeGib * GIB,
    })),
    image: image === null || format === null ? null : imageWanted(image, format),
  }
}

function volumeWanted(one: VolumeAttachment): QemuVolume & { readonly deviceName: string } {
  const { volumeId, attachment, generation, portal, targetIqn, lun, initiatorIqn } = one
  const { chapUser, chapSecret, serial, iops, boot: isBoot, deviceName, encryptionKey, rbd } = one
  return {
    ...{ volumeId, attachment, portal, targetIqn, lun, initiatorIqn, chapUser, chapSecret },
    ...{ serial, iops, isBoot, deviceName },
    generation: Number(generation),
    sizeBytes: Number(one.sizeBytes),
    bytesPerS: Number(one.throughputBytesPerS),
    encryptionKey: encryptionKey === '' ? null : encryptionKey,
    rbd: rbd === undefined ? null : rbdImage(rbd, volumeId),
  }
}

function rbdImage({ monitors, pool, namespace }: RbdPool, image: string): RbdImage {
  return { monitors, pool, namespace, image }
}

/** The one that boots is the first disk; then as the user named them. */
function byPlace(a: ReturnType<typeof volumeWanted>, b: typeof a): number {
  if (a.isBoot !== b.isBoot) return a.isBoot ? -1 : 1
  return a.deviceName < b.deviceName ? -1 : 1
}

function kernelWanted(
  desired: Desired,
  { kernelImageId, ramdiskImageId, kernelCommandLine: commandLine }: Instance,
  missing: string[],
): KernelWanted | null {
  const fileOf = (id: string, format: string): FileWanted | null => {
    const key = `image/${id}`
    const image = id === '' ? null : bodyAt(desired, key, 'image')
    if (image?.format === format) {
      return { sha256: image.sha256, listSha256: image.chunkListSha256 }
    }
    if (id !== '') missing.push(key)
    return null
  }
  const kernel = fileOf(kernelImageId, 'kernel')
  const ramdisk = fileOf(ramdiskImageId, 'ramdisk')
  return kernel === null || missing.length > 0 ? null : { kernel, ramdisk, commandLine }
}

function imageWanted(image: Image, format: ImageFormat): ImageWanted {
  const { sha256, chunkListSha256: listSha256, sizeBytes } = image
  return { sha256, format, listSha256, sizeBytes: Number(sizeBytes) }
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
