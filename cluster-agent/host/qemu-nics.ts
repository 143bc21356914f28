// The network interfaces of a machine that runs, over QMP: which it has, plug, unplug. They are
// known by their MACs: device names of older machines were others.

import { MalleeError, messageOf } from '../../common/errors.ts'
import type { QemuNic } from './qemu.ts'
import { netdevOf, nicDeviceOf, SLOT } from './qemu.ts'
import type { Qmp } from './qmp.ts'

export interface PluggedNic {
  readonly device: string
  readonly netdev: string
  readonly mac: string
}

const DEVICES = '/machine/peripheral'
/** A guest that runs lets go within some 100 ms; one that boots does when it is up. */
const UNPLUG_MS = 3_000

export async function listNics(qmp: Qmp): Promise<PluggedNic[]> {
  const nics = (await devicesOf(qmp)).filter(({ type }) => type === 'child<virtio-net-pci>')
  return Promise.all(
    nics.map(async ({ name: device }) => {
      const mac = (await property(qmp, device, 'mac')).toLowerCase()
      return { device, netdev: await property(qmp, device, 'netdev'), mac }
    }),
  )
}

/** Plugs an interface whose tap exists. Throws CommandFailed when no slot is free. */
export async function plugNic(qmp: Qmp, nic: QemuNic, offloads: boolean): Promise<void> {
  const [id, bus] = [netdevOf(nic.mac), await firstFreeSlot(qmp)]
  if (bus === null) throw new MalleeError('CommandFailed', `no slot is free for ${nic.id}`)
  // Left by somebody who died between unplugging the device and this.
  await qmp.command('netdev_del', { id }).catch(() => undefined)
  const options = offloads ? { vhost: true } : { vnet_hdr: false }
  const scripts = { script: 'no', downscript: 'no' }
  await qmp.command('netdev_add', { type: 'tap', id, ifname: nic.tap, ...scripts, ...options })
  const guest = { id: nicDeviceOf(nic.mac), mac: nic.mac, host_mtu: nic.mtu, romfile: '' }
  try {
    await qmp.command('device_add', { driver: 'virtio-net-pci', bus, netdev: id, ...guest })
  } catch (error) {
    await qmp.command('netdev_del', { id }).catch(() => undefined)
    throw error
  }
}

/** Asks the guest to let go of an interface; false when it does not do so in time. */
export async function unplugNic(qmp: Qmp, { device, netdev }: PluggedNic): Promise<boolean> {
  let stopListening = () => {}
  let timer: NodeJS.Timeout | undefined
  const gone = new Promise<boolean>((resolve) => {
    stopListening = qmp.onEvent(({ name, data }) => {
      if (name === 'DEVICE_DELETED' && data['device'] === device) resolve(true)
    })
    timer = setTimeout(() => resolve(false), UNPLUG_MS)
  })
  try {
    await qmp.command('device_del', { id: device }).catch((error: unknown) => {
      if (!/already in the process of unplug/.test(messageOf(error))) throw error
    })
    if (!(await gone)) return false
  } finally {
    stopListening()
    clearTimeout(timer)
  }
  await qmp.command('netdev_del', { id: netdev })
  return true
}

/**
 * The first slot without a device; null when all are taken. Not from query-pci, which sees no
 * devices in slots before the firmware has.
 */
export async function firstFreeSlot(qmp: Qmp): Promise<string | null> {
  const names = (await devicesOf(qmp)).map(({ name }) => name)
  const taken = new Set<string | undefined>()
  // One by one: there may be more devices than questions at a time.
  for (const name of names) taken.add((await property(qmp, name, 'parent_bus')).split('/').at(-1))
  const free = names.filter((name) => SLOT.test(name) && !taken.has(name))
  return free.sort((a, b) => slotNumber(a) - slotNumber(b))[0] ?? null
}

async function devicesOf(qmp: Qmp): Promise<QomItem[]> {
  const items = (await qmp.command('qom-list', { path: DEVICES })) as QomItem[]
  return items.filter(({ type }) => type.startsWith('child<'))
}

async function property(qmp: Qmp, device: string, name: string): Promise<string> {
  return String(await qmp.command('qom-get', { path: `${DEVICES}/${device}`, property: name }))
}

function slotNumber(name: string): number {
  return Number(SLOT.exec(name)?.[1])
}

interface QomItem {
  readonly name: string
  readonly type: string
}
