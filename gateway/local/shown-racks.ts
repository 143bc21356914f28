// Racks, hosts and tunnels as the operator's API shows them.

import { placeHosts } from '../ec2/capacity.ts'
import type { HostRecord, RackRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import {
  flag,
  hostParam,
  integer,
  list,
  named,
  nullable,
  object,
  oneOf,
  rackParam,
  type Typed,
  text,
  time,
} from './schema.ts'

const MAX_TEXT = 4_096
export const MAX_HOSTS = 100_000
export const MAX_RACKS = 10_000

export const ROLE = oneOf('cc', 'sc', 'nc')
const RESOURCES = object({ vcpus: integer({}), memoryMib: integer({}), diskGib: integer({}) })

const OWN = {
  host: hostParam,
  index: integer({ description: 'Its number in the rack' }),
  roles: list(ROLE),
  simulated: flag('A model in memory'),
  cordoned: flag('The operator lets nothing new be placed there'),
  drained: flag('The operator wants it to be empty'),
  lost: flag('It never comes back, and is being taken out'),
  instances: integer({ description: 'Those that are not terminated' }),
  connected: flag('Its session, or that of a node with its CC, is open'),
}
const DISK = object({
  id: text({ description: 'With which the names of its blobs begin; empty: never seen' }),
  dir: text({ maxLength: MAX_TEXT }),
  state: oneOf('ok', 'full', 'failing', 'away'),
  sizeBytes: integer({ minimum: 0, description: 'Of the file system' }),
  roomBytes: integer({ minimum: 0, description: 'What objects may still take; rounded' }),
})

/** A namespace of a pool of Ceph, where hosts of instances open volumes by themselves. */
const RBD_POOL = object({
  fsid: text({ maxLength: MAX_TEXT }),
  monitors: list(text({ maxLength: MAX_TEXT })),
  pool: text({ maxLength: MAX_TEXT }),
  namespace: text({ maxLength: MAX_TEXT }),
})

/** Where it serves volumes; absent while it serves none. */
const VOLUME_STORE = object(
  {
    portal: text({ maxLength: MAX_TEXT, description: 'Address and port; empty: none yet' }),
    backend: text({ maxLength: MAX_TEXT }),
    sizeBytes: integer({ minimum: 0 }),
    roomBytes: integer({ minimum: 0, description: 'Rounded' }),
    snapshots: flag('It can keep a moment of a volume that is being written'),
  },
  {
    encrypts: flag('An encrypted volume there may begin as a snapshot that is not encrypted'),
    rbd: RBD_POOL,
  },
)

/** What it reported last; absent until it has reported anything. */
const REPORTED = {
  agentVersion: text({ maxLength: MAX_TEXT }),
  vcpus: integer({}),
  memoryMib: integer({}),
  diskGib: integer({}),
  accelerator: text({ maxLength: MAX_TEXT }),
  ovsDatapath: text({ maxLength: MAX_TEXT }),
  wireguard: text({ maxLength: MAX_TEXT }),
  wireguardPublicKey: text({ maxLength: MAX_TEXT }),
  wireguardEndpoints: list(text({ maxLength: MAX_TEXT })),
  trouble: text({ maxLength: MAX_TEXT, description: 'What it lacks; empty when nothing' }),
  draining: flag('The host itself says that it is about to leave'),
  disks: list(DISK, { description: 'Where it keeps bytes of objects; absent without the role sc' }),
  ipsec: text({
    maxLength: MAX_TEXT,
    description:
      'strongSwan with IPsec of kernel or userspace, or missing; absent without the role cc',
  }),
  volumeTarget: text({
    maxLength: MAX_TEXT,
    description: 'What it serves volumes by, lio or tgt; absent without the role sc',
  }),
  volumes: VOLUME_STORE,
}

export const HOST = named('Host', object(OWN, REPORTED))
export type Host = Typed<typeof HOST>

export const PLACE = named(
  'HostPlace',
  object(
    {
      rack: rackParam,
      ...OWN,
      free: nullable(RESOURCES, 'What instances may still take; null without the role nc'),
      why: text({
        maxLength: MAX_TEXT,
        description: 'Why nothing is placed there, as the end of a sentence; empty when it is',
      }),
    },
    REPORTED,
  ),
)
export type HostPlace = Typed<typeof PLACE>

export const RACK = named(
  'Rack',
  object({
    name: rackParam,
    index: integer({ description: 'Its number in the cloud' }),
    state: oneOf('joined', 'draining'),
    createdAtMs: time('When its first host joined'),
    hosts: list(HOST, { maxItems: MAX_HOSTS }),
  }),
)
export type Rack = Typed<typeof RACK>

export const TUNNEL = named(
  'Tunnel',
  object({
    fromRack: rackParam,
    toRack: rackParam,
    latestHandshakeMs: time('0 before the first'),
    receivedBytes: integer({ minimum: 0 }),
    sentBytes: integer({ minimum: 0 }),
    endpoint: text({ maxLength: MAX_TEXT }),
  }),
)

export function shownRack(view: View, { name, index, state, createdAtMs }: RackRecord): Rack {
  const hosts = view.withPrefix('host', `${name}/`).map((host) => shownHost(view, host))
  return { name, index, state, createdAtMs, hosts }
}

export function shownHost(view: View, record: HostRecord): Host {
  const { rack, host, index, roles, simulated, cordoned, drain, lostAtMs, status } = record
  const instances = view.instancesOf('host', host).filter((one) => one.rack === rack).length
  const marks = {
    ...{ simulated, cordoned: cordoned === true },
    ...{ drained: drain !== undefined, lost: lostAtMs !== undefined },
  }
  const own = { host, index, roles, ...marks, instances }
  return { ...own, connected: false, ...status }
}

/** Of hosts with what is free there. */
export function shownPlaces(view: View, hosts: readonly HostRecord[]): HostPlace[] {
  const places = new Map(placeHosts(view).map((one) => [`${one.rack}/${one.host}`, one]))
  return hosts.map((record) => {
    const { rack, host } = record
    const { free = null, why = 'has no nc role' } = places.get(`${rack}/${host}`) ?? {}
    return { rack, ...shownHost(view, record), free, why }
  })
}

export const EXAMPLE_HOST: Host = {
  ...{ host: 'a-nc-1', index: 2, roles: ['nc'], simulated: false, cordoned: false },
  ...{ drained: false, lost: false, instances: 3 },
  ...{ connected: true, agentVersion: '0.1.0', vcpus: 16, memoryMib: 64_000, diskGib: 900 },
  ...{ accelerator: 'kvm', ovsDatapath: 'kernel', wireguard: 'kernel', wireguardPublicKey: '' },
  ...{ wireguardEndpoints: [], trouble: '', draining: false },
}
export const EXAMPLE_PLACE: HostPlace = {
  ...{ rack: 'a', ...EXAMPLE_HOST, why: '' },
  free: { vcpus: 10, memoryMib: 48_000, diskGib: 700 },
}
export const EXAMPLE_RACK: Rack = {
  ...{ name: 'a', index: 1, state: 'joined', createdAtMs: 1_785_000_000_000 },
  hosts: [EXAMPLE_HOST],
}
