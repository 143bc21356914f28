// A simulated host with a switch, one network with DHCP, and the NC's role: where the tests of this
// folder run real guests.

import { readFile } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import { addPorts, type Switch } from '../../../cluster-agent/host/ovs.ts'
import { machineFiles } from '../../../cluster-agent/host/qemu.ts'
import { ensureSwitch } from '../../../cluster-agent/host/switch.ts'
import type { Images } from '../../../cluster-agent/images/images.ts'
import { LazyImages } from '../../../cluster-agent/images/lazy-images.ts'
import { type NcOptions, type NcRole, ncRole } from '../../../cluster-agent/nc/reconcilers.ts'
import {
  imagesDir,
  instanceDir,
  lazyImagesSocket,
  type Paths,
} from '../../../cluster-agent/paths.ts'
import { systemClock } from '../../../common/clock.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import {
  ImageSchema,
  InstanceSchema,
  type Interface,
  InterfaceSchema,
  NetworkSchema,
  Power,
  type Resource,
} from '../../../proto/gen/mallee/v1/desired_pb.js'
import type { InstanceStatus } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { GroupSchema } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import type { VolumeAttachment } from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { type Desired, resource } from '../../../proto/resources.ts'
import { GuestShell } from '../../../sandbox/guest.ts'
import { fileImages } from '../../support/file-images.ts'
import { type GuestImage, guestImage } from '../../support/guest-image.ts'
import { type SimulatedHost, startHost } from '../../support/netns.ts'

export const HOST = 'node-1'
export const GATEWAY = '10.1.0.1'
export const SECOND_MAC = '02:00:00:00:00:21'
export const SECOND_IPV4 = '10.1.0.21'
const TAG = 100
const GATEWAY_PORT = 'gw100'
const ALL = { protocol: -1, fromPort: -1, toPort: -1, cidrs: ['0.0.0.0/0', '::/0'] }
/** As the gateway says it. */
const KERNEL = {
  kernelImageId: 'aki-1',
  ramdiskImageId: 'ari-1',
  kernelCommandLine: 'root=/dev/vda ro console=ttyS0',
}
const OPEN = { id: 'sg-1', rules: [ALL, { ...ALL, egress: true }] }

/** What a test says of a guest; the rest follows from its number. */
export interface GuestWish {
  /** 1 to 9. */
  readonly n: number
  readonly power?: Power
  readonly rebootCount?: number
  readonly startCount?: number
  readonly forceStop?: boolean
  /** It has a second interface. */
  readonly second?: boolean
  /** What it starts from, when its disk does not boot by itself. */
  readonly kernel?: Readonly<Record<'kernel' | 'ramdisk', GuestImage>>
  readonly volumes?: readonly VolumeAttachment[]
  /** No disk of its own: a volume is its root. */
  readonly fromVolume?: boolean
  /** GiB of its instance stores. */
  readonly ephemeralGib?: readonly number[]
}

export interface Guests {
  readonly host: SimulatedHost
  readonly sw: Switch
  readonly image: GuestImage
  /** A role as a new agent would have it. */
  readonly newRole: (log?: Log, more?: Partial<NcOptions>) => NcRole
  readonly desired: (wishes: readonly GuestWish[]) => Desired
}

export const guestId = (n: number) => `i-0000000000000000${n}`
export const guestIpv4 = (n: number) => `10.1.0.1${n}`
export const guestIpv6 = (n: number) => `fd10:1::1${n}`
export const guestMac = (n: number) => `02:00:00:00:00:0${n}`
export const guestName = (n: number) => `ip-10-1-0-1${n}`

/** Of the usual image, or of another one. */
export async function startGuests(dir: string, other?: GuestImage): Promise<Guests> {
  const image = other ?? (await guestImage())
  const host = await startHost('nc', dir)
  try {
    const { exec, paths } = host
    const sw = await ensureSwitch({ exec, paths, machine: { ovs: 'userspace' }, log: silentLog })
    await addPorts(exec, sw, [
      { name: GATEWAY_PORT, tag: TAG, internal: true, externalIds: { mallee: 'gateway' } },
    ])
    await serveNetwork(host)
    const newRole: Guests['newRole'] = (log = silentLog, more = {}) =>
      ncRole({
        exec,
        paths,
        host: HOST,
        accelerator: 'tcg',
        switch: sw,
        ...lazyParts(fileImages(image, imagesDir(paths), { log }), paths),
        capacity: null,
        clock: systemClock,
        log,
        ...more,
      })
    return { host, sw, image, newRole, desired: (wishes) => desiredOf(image, wishes) }
  } catch (error) {
    await host.stop()
    throw error
  }
}

/** What the guest wrote to its console so far. */
export async function consoleText({ host }: Guests, n: number): Promise<string> {
  const { consoleLog } = machineFiles(instanceDir(host.paths, guestId(n)))
  return readFile(consoleLog, 'utf8').catch(() => '')
}

export function statusOf(role: NcRole, n: number): InstanceStatus {
  const found = role.statuses().find(({ key }) => key === `instance/${guestId(n)}`)
  if (found?.body.case !== 'instance') throw new Error(`no status of guest ${n}`)
  return found.body.value
}

/** What a line in the guest's shell on the serial console prints. */
export async function guestShell({ host }: Guests, n: number, line: string): Promise<string> {
  const shell = await GuestShell.open(machineFiles(instanceDir(host.paths, guestId(n))).console)
  try {
    return (await shell.run(line)).output
  } finally {
    shell.close()
  }
}

/** The pid of the guest's QEMU, in the host. */
export async function guestPid({ host }: Guests, n: number): Promise<string> {
  const { pid } = machineFiles(instanceDir(host.paths, guestId(n)))
  return (await readFile(pid, 'utf8')).trim()
}

function desiredOf(image: GuestImage, wishes: readonly GuestWish[]): Desired {
  const network = { id: 'subnet-1', vpcId: 'vpc-1', vlanTag: TAG, mtu: 1_420 }
  const all: Resource[] = [
    imageResource('ami-1', 'raw', image),
    resource('network/subnet-1', { case: 'network', value: create(NetworkSchema, network) }),
    resource('group/sg-1', { case: 'group', value: create(GroupSchema, OPEN) }),
    ...wishes.flatMap(guestResources),
  ]
  return new Map(all.map((one) => [one.key, one]))
}

function imageResource(id: string, format: string, { sha256, list }: GuestImage): Resource {
  const value = create(ImageSchema, { id, sha256, format, chunkListSha256: list.sha256 })
  return resource(`image/${id}`, { case: 'image', value })
}

function guestResources({
  n,
  power = Power.RUNNING,
  rebootCount = 0,
  startCount = 0,
  forceStop = false,
  second,
  kernel,
  volumes = [],
  fromVolume = false,
  ephemeralGib = [],
}: GuestWish): Resource[] {
  const instance = create(InstanceSchema, {
    id: guestId(n),
    host: HOST,
    imageId: fromVolume ? '' : 'ami-1',
    volumes: [...volumes],
    ephemeralDisks: ephemeralGib.map((sizeGib, n) => ({ name: `ephemeral${n}`, sizeGib })),
    vcpus: 1,
    memoryMib: 128,
    diskGib: 1,
    interfaceIds: second ? [`eni-${n}2`, `eni-${n}`] : [`eni-${n}`],
    power,
    rebootCount,
    startCount,
    forceStop,
    smbiosUuid: `ec2a0000-0000-4000-8000-00000000000${n}`,
    ...(kernel && KERNEL),
  })
  const nic = create(InterfaceSchema, {
    id: `eni-${n}`,
    instanceId: guestId(n),
    networkId: 'subnet-1',
    mac: guestMac(n),
    ipv4: guestIpv4(n),
    ipv6: guestIpv6(n),
    hostname: guestName(n),
    host: HOST,
    groupIds: ['sg-1'],
    sourceDestCheck: true,
  })
  return [
    resource(`instance/${guestId(n)}`, { case: 'instance', value: instance }),
    resource(`interface/eni-${n}`, { case: 'interface', value: nic }),
    ...(second ? [secondInterface(nic)] : []),
    ...(kernel
      ? [
          imageResource(KERNEL.kernelImageId, 'kernel', kernel.kernel),
          imageResource(KERNEL.ramdiskImageId, 'ramdisk', kernel.ramdisk),
        ]
      : []),
  ]
}

function secondInterface(nic: Interface): Resource {
  const id = `${nic.id}2`
  const mac = SECOND_MAC
  const own = { id, mac, ipv4: SECOND_IPV4, ipv6: '', deviceIndex: 1 }
  const value = create(InterfaceSchema, { ...nic, ...own })
  return resource(`interface/${id}`, { case: 'interface', value })
}

/** The CC's part, as far as a guest needs it to come up. */
async function serveNetwork({ exec, paths }: SimulatedHost): Promise<void> {
  await exec(['ip', 'link', 'set', 'dev', GATEWAY_PORT, 'mtu', '1420', 'up'])
  await exec(['ip', 'address', 'add', `${GATEWAY}/24`, 'dev', GATEWAY_PORT])
  await exec(['ip', 'address', 'add', 'fd10:1::1/64', 'dev', GATEWAY_PORT, 'nodad'])
  const hosts = [1, 2, 3].map(
    (n) => `--dhcp-host=${guestMac(n)},${guestIpv4(n)},[${guestIpv6(n)}],${guestName(n)}`,
  )
  await exec(
    [
      ...['dnsmasq', '--conf-file=/dev/null', '--port=0', `--interface=${GATEWAY_PORT}`],
      ...['--bind-dynamic', '--leasefile-ro', '--dhcp-authoritative', '--enable-ra', '--user=root'],
      ...['--dhcp-range=10.1.0.0,static,255.255.255.0,24h', '--dhcp-range=fd10:1::,static,64,24h'],
      ...['--dhcp-option-force=option:mtu,1420', `--pid-file=${paths.runDir}/dnsmasq.pid`],
      ...hosts,
    ],
    { outputFile: `${paths.runDir}/dnsmasq.log` },
  )
}

/** Images, and what serves them while they come; machines wait for them unless they shall not. */
export function lazyParts(
  images: Images,
  paths: Paths,
  starts = false,
): Pick<NcOptions, 'images' | 'lazy'> {
  const socket = lazyImagesSocket(paths)
  const options = { images, socket, starts, clock: systemClock, log: silentLog }
  return { images, lazy: new LazyImages({ ...options, fillAfterMs: 0, fromBytes: 0 }) }
}
