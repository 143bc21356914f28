// What a host says of itself.

import { create } from '@bufbuild/protobuf'
import {
  HostStatusSchema,
  ImagesStatusSchema,
  type Status,
  StatusSchema,
  type StorageDisk,
  type VolumeStore,
} from '../proto/gen/mallee/v1/observed_pb.js'
import type { AgentConfig, Capacity } from './config.ts'
import type { ImageStats } from './images/images.ts'

/** Found out once, when the agent starts. */
export interface HostFacts {
  readonly version: string
  readonly accelerator: string
  readonly ovsDatapath: string
  readonly wireguard: string
  /** Empty without the role cc. */
  readonly ipsec: string
  /** Empty without the role sc, and for volumes in Ceph. */
  readonly volumeTarget: string
  /** Null without the role nc. */
  readonly capacity: Capacity | null
}

/** Changes while it runs. */
export interface HostNow {
  /** Empty without the role cc, or before the first pass. */
  readonly wireguardPublicKey: string
  readonly wireguardEndpoints: readonly string[]
  readonly trouble: string
  readonly draining: boolean
  /** Empty without the role sc. */
  readonly disks: readonly StorageDisk[]
  /** Null without the role sc, or before the first pass. */
  readonly volumes: VolumeStore | null
}

/** What it keeps of images. */
export function imagesStatus(host: string, stats: ImageStats): Status {
  const { bytes, maxBytes, hits, misses, fromParents, fromNeighbours } = stats
  const value = create(ImagesStatusSchema, {
    host,
    bytes: BigInt(bytes),
    maxBytes: BigInt(maxBytes),
    hits: BigInt(hits),
    misses: BigInt(misses),
    bytesFromParents: BigInt(fromParents),
    bytesFromNeighbours: BigInt(fromNeighbours),
  })
  return create(StatusSchema, { key: `images/${host}`, body: { case: 'images', value } })
}

export function hostStatus(config: AgentConfig, facts: HostFacts, now: HostNow): Status {
  const value = create(HostStatusSchema, {
    rack: config.rack,
    host: config.host,
    roles: [...config.roles],
    agentVersion: facts.version,
    simulated: config.simulated,
    vcpus: facts.capacity?.vcpus ?? 0,
    memoryMib: facts.capacity?.memoryMib ?? 0,
    diskGib: facts.capacity?.diskGib ?? 0,
    accelerator: facts.accelerator,
    ovsDatapath: facts.ovsDatapath,
    wireguard: facts.wireguard,
    ipsec: facts.ipsec,
    volumeTarget: facts.volumeTarget,
    wireguardPublicKey: now.wireguardPublicKey,
    wireguardEndpoints: [...now.wireguardEndpoints],
    connected: true,
    trouble: now.trouble,
    draining: now.draining,
    disks: [...now.disks],
    ...(now.volumes === null ? {} : { volumes: now.volumes }),
  })
  return create(StatusSchema, { key: `host/${config.host}`, body: { case: 'host', value } })
}
