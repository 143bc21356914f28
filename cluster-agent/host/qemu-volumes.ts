// Volumes of a machine over QMP: which it has, plug, unplug, grow, limit. QEMU reaches them by
// itself and tries for ever when a connection breaks: its guest waits meanwhile. All parts of one
// have names made of the volume and its generation, by which they are found again.

import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { devicesOf, firstFreeSlot, slotOf, unplugDevice } from './qemu-devices.ts'
import {
  imageOptions,
  type Protocol,
  protocolOf,
  type VolumeSource,
} from './qemu-volume-protocols.ts'
import type { Qmp } from './qmp.ts'

export interface QemuVolume extends VolumeSource {
  /** `vol-` and 17 hexadecimal digits. */
  readonly volumeId: string
  readonly attachment: string
  readonly generation: number
  /** At most 20 characters (VIRTIO_BLK_ID_BYTES). */
  readonly serial: string
  /** What the guest sees. */
  readonly sizeBytes: number
  /** Per second; 0 is no limit. */
  readonly iops: number
  readonly bytesPerS: number
  readonly isBoot: boolean
  /** Of its LUKS header, whose payload the guest sees; null when it is not encrypted. */
  readonly encryptionKey: string | null
}

export interface SeenVolume {
  readonly volumeId: string
  readonly generation: number
  /** Null when the guest has no device of it: it was half plugged, or is half gone. */
  readonly attachment: string | null
  /** The number of its slot: they are a guest's disks in this order. */
  readonly slot: number
  readonly sizeBytes: number
  readonly iops: number
  readonly bytesPerS: number
}

/**
 * Seconds until QEMU asks a target once more that is there and does not answer a request; the
 * eighth time is an I/O error (block/iscsi.c). Long, as a flush of a slow disk may take a minute.
 * That a target is gone is found out by questions of its own, within some 15 s.
 */
const TIMEOUT_S = 300
const LOGIN_MS = 40_000
const KNOCK_MS = 5_000
/** Of a volume and its generation; 31 characters is the most for a block node. */
const STEM = /^v([0-9a-f]{17})\.(\d{1,10})$/
const PART = /^(v[0-9a-f]{17}\.\d{1,10})\.(iscsi|rbd|luks|top|limits|chap|key|size-\d{1,16})$/
const DEVICE = /^(v[0-9a-f]{17}\.\d{1,10})\.([A-Za-z0-9-]+)$/
const OBJECTS = '/objects'
const NO_LIMITS = { iops: 0, bytesPerS: 0 }

/**
 * In the order of their slots. Blocks QEMU in no way that a guest would notice, also while a target
 * is away.
 */
export async function listVolumes(qmp: Qmp): Promise<SeenVolume[]> {
  const [devices, all] = [await devicesOf(qmp), await qmp.blockNodes()]
  const nodes = all.filter((name) => PART.test(name))
  const objects = (await objectsOf(qmp)).filter((name) => PART.test(name))
  const sizes = await sizesOf(qmp, nodes, objects)
  const attachments = new Map<string, string>()
  for (const { name } of devices) {
    const [, stem, attachment] = DEVICE.exec(name) ?? []
    if (stem !== undefined && attachment !== undefined) attachments.set(stem, attachment)
  }
  const parts = [...nodes, ...objects].flatMap((name) => PART.exec(name)?.[1] ?? [])
  const seen: SeenVolume[] = []
  for (const stem of new Set([...attachments.keys(), ...parts])) {
    const [, digits = '', generation] = STEM.exec(stem) ?? []
    const group = `${stem}.limits`
    const attachment = attachments.get(stem) ?? null
    seen.push({
      volumeId: `vol-${digits}`,
      generation: Number(generation),
      attachment,
      slot: attachment === null ? 0 : await slotOf(qmp, `${stem}.${attachment}`),
      sizeBytes: sizes.get(`${stem}.top`) ?? 0,
      ...(objects.includes(group) ? await limitsOf(qmp, group) : NO_LIMITS),
    })
  }
  return seen.sort((a, b) => a.slot - b.slot)
}

/**
 * The bytes that the target serves, found by a login of its own: QEMU's is made in its main loop,
 * where it would hold up the guest for as long as the target lets it wait. `dir` is a folder that
 * only root can read. Throws Unavailable.
 */
export async function knock(exec: Exec, volume: QemuVolume, dir: string): Promise<number> {
  const { portal, volumeId } = volume
  const protocol = protocolOf(volume)
  const { data, format } = protocol.secret
  const options = imageOptions(protocol.options('s', KNOCK_MS / 1000))
  const secret = join(dir, `${volumeId}.secret`)
  const object = ['--object', `secret,id=s,file=${secret.replaceAll(',', ',,')},format=${format}`]
  const argv = ['qemu-img', 'info', '--output=json', ...object, '--image-opts', options]
  try {
    await writeFile(secret, data, { mode: 0o600 })
    const { stdout } = await exec(argv, { timeoutMs: KNOCK_MS })
    return (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size']
  } catch (cause) {
    const message = `${volumeId} cannot be reached at ${portal}: ${wordsOf(cause)}`
    throw new MalleeError('Unavailable', message, { cause })
  } finally {
    await rm(secret, { force: true })
  }
}

/**
 * Gives a machine a volume; what is left of an earlier try goes first. Throws CommandFailed with
 * QEMU's words: nobody lets it in, no slot is free, the key does not fit.
 */
export async function plugVolume(qmp: Qmp, volume: QemuVolume): Promise<void> {
  const stem = stemOf(volume)
  await removeParts(qmp, stem)
  const bus = await firstFreeSlot(qmp)
  if (bus === null) throw new MalleeError('CommandFailed', `no slot is free for ${volume.volumeId}`)
  try {
    await addNodes(qmp, stem, volume)
    const { attachment, serial, isBoot } = volume
    await qmp.command('device_add', {
      driver: 'virtio-blk-pci',
      id: `${stem}.${attachment}`,
      ...{ bus, drive: `${stem}.top`, serial },
      // An error is for the guest, of this disk alone; it does not stop the machine.
      ...{ werror: 'report', rerror: 'report' },
      ...(isBoot ? { bootindex: 1 } : {}),
    })
  } catch (error) {
    await removeParts(qmp, stem).catch(() => undefined)
    throw error
  }
}

/**
 * Asks the guest to let go of a volume; false when it does not do so in time: it may boot, or wait
 * for an answer of the volume.
 */
export async function unplugVolume(qmp: Qmp, seen: SeenVolume, waitMs: number): Promise<boolean> {
  const stem = stemOf(seen)
  const { attachment } = seen
  if (attachment !== null && !(await unplugDevice(qmp, `${stem}.${attachment}`, waitMs))) {
    return false
  }
  await removeParts(qmp, stem)
  return true
}

/** The target must serve as much already (see `knock`). The guest is told. */
export async function resizeVolume(qmp: Qmp, volume: QemuVolume): Promise<void> {
  const node = `${stemOf(volume)}.top`
  await qmp.command('block_resize', { 'node-name': node, size: volume.sizeBytes }, LOGIN_MS)
  await noteSize(qmp, stemOf(volume), volume.sizeBytes)
}

export async function limitVolume(qmp: Qmp, volume: QemuVolume): Promise<void> {
  const path = `${OBJECTS}/${stemOf(volume)}.limits`
  await qmp.command('qom-set', { path, property: 'limits', value: limits(volume) })
}

function stemOf({ volumeId, generation }: Pick<QemuVolume, 'volumeId' | 'generation'>): string {
  const stem = `v${volumeId.replace(/^vol-/, '')}.${generation}`
  if (STEM.test(stem)) return stem
  throw new MalleeError('BadMessage', `${volumeId} has the generation ${generation}`)
}

async function addNodes(qmp: Qmp, stem: string, volume: QemuVolume): Promise<void> {
  const { encryptionKey } = volume
  const { driver, options, secret } = protocolOf(volume)
  const [bottom, luks, top] = [`${stem}.${driver}`, `${stem}.luks`, `${stem}.top`]
  const [chap, key, group] = [`${stem}.chap`, `${stem}.key`, `${stem}.limits`]
  const cache = { cache: { direct: true }, discard: 'unmap' }
  const group_ = { 'qom-type': 'throttle-group', id: group, limits: limits(volume) }
  await qmp.command('object-add', group_)
  await addSecret(qmp, chap, secret)
  const named = { ...options(chap, TIMEOUT_S), 'node-name': bottom }
  await qmp.command('blockdev-add', { ...named, ...cache }, LOGIN_MS)
  if (encryptionKey !== null) {
    await addSecret(qmp, key, { data: encryptionKey, format: 'raw' })
    const on = { driver: 'luks', 'node-name': luks, 'key-secret': key, file: bottom }
    await qmp.command('blockdev-add', { ...on, ...cache }, LOGIN_MS)
  }
  const file = encryptionKey === null ? bottom : luks
  const throttle = { driver: 'throttle', 'node-name': top, 'throttle-group': group, file }
  await qmp.command('blockdev-add', { ...throttle, ...cache })
  await noteSize(qmp, stem, volume.sizeBytes)
  // What was opened with them has its own copies.
  await removeObjects(qmp, [chap, key])
}

/** Through the monitor, which only root can open: on no command line and in no file. */
async function addSecret(qmp: Qmp, id: string, secret: Protocol['secret']): Promise<void> {
  await qmp.command('object-add', { 'qom-type': 'secret', id, ...secret })
}

async function removeParts(qmp: Qmp, stem: string): Promise<void> {
  const nodes = new Set(await qmp.blockNodes())
  for (const node of ['top', 'luks', 'iscsi', 'rbd'].map((part) => `${stem}.${part}`)) {
    if (nodes.has(node)) await qmp.command('blockdev-del', { 'node-name': node }, LOGIN_MS)
  }
  const sizes = (await objectsOf(qmp)).filter((name) => name.startsWith(`${stem}.size-`))
  await removeObjects(qmp, [`${stem}.limits`, `${stem}.chap`, `${stem}.key`, ...sizes])
}

/**
 * What the guest sees, as the name of an object. QEMU asks Ceph when it is asked about an image:
 * its guest would stand still as long as Ceph is away, and of one that was taken away it says
 * nothing.
 */
async function noteSize(qmp: Qmp, stem: string, sizeBytes: number): Promise<void> {
  const name = `${stem}.size-${sizeBytes}`
  const there = (await objectsOf(qmp)).filter((one) => one.startsWith(`${stem}.size-`))
  if (!there.includes(name)) await addSecret(qmp, name, { data: '-', format: 'raw' })
  const old = there.filter((one) => one !== name)
  await removeObjects(qmp, old)
}

async function removeObjects(qmp: Qmp, ids: readonly string[]): Promise<void> {
  const names = new Set(await objectsOf(qmp))
  for (const id of ids) if (names.has(id)) await qmp.command('object-del', { id })
}

async function objectsOf(qmp: Qmp): Promise<string[]> {
  return ((await qmp.command('qom-list', { path: OBJECTS })) as { name: string }[]).map(
    ({ name }) => name,
  )
}

/** By the names of the nodes that guests see. */
async function sizesOf(
  qmp: Qmp,
  nodes: readonly string[],
  objects: readonly string[],
): Promise<Map<string, number>> {
  if (nodes.some((node) => node.endsWith('.rbd'))) {
    const noted = objects.map((name) => name.split('.size-'))
    return new Map(noted.map(([stem, size]) => [`${stem}.top`, Number(size ?? 0)]))
  }
  const all = (await qmp.command('query-named-block-nodes', { flat: true })) as BlockNode[]
  return new Map(all.map((node) => [node['node-name'], node.image['virtual-size']]))
}

async function limitsOf(qmp: Qmp, id: string): Promise<typeof NO_LIMITS> {
  const query = { path: `${OBJECTS}/${id}`, property: 'limits' }
  const now = (await qmp.command('qom-get', query)) as ReturnType<typeof limits>
  return { iops: now['iops-total'], bytesPerS: now['bps-total'] }
}

function limits({ iops, bytesPerS }: Pick<QemuVolume, 'iops' | 'bytesPerS'>) {
  return { 'iops-total': iops, 'bps-total': bytesPerS }
}

/** What the program said, without its command line. */
function wordsOf(error: unknown): string {
  const said = messageOf(error).trim().split('\n').at(-1) ?? ''
  return said.replace(/^.* exited \d+: (qemu-img: )?(Could not open '.*': )?(iSCSI: )?/, '')
}

interface BlockNode {
  readonly 'node-name': string
  readonly image: { readonly 'virtual-size': number }
}
