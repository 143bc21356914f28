// The network interfaces of a machine that runs, over QMP: which it has, plug, unplug. They are
// known by their MACs: device names of older machines were others.

import { MalleeError } from '../../common/errors.ts'
import type { QemuNic } from './qemu.ts'
import { netdevOf, nicDeviceOf } from './qemu.ts'
import { deviceProperty, devicesOf, firstFreeSlot, unplugDevice } from './qemu-devices.ts'
import type { Qmp } from './qmp.ts'

export interface PluggedNic {
  readonly device: string
  readonly netdev: string
  readonly mac: string
}

export async function listNics(qmp: Qmp): Promise<PluggedNic[]> {
  const nics = (await devicesOf(qmp)).filter(({ type }) => type === 'child<virtio-net-pci>')
  return Promise.all(
    nics.map(async ({ name: device }) => {
      const mac = (await deviceProperty(qmp, device, 'mac')).toLowerCase()
      return { device, netdev: await deviceProperty(qmp, device, 'netdev'), mac }
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
  if (!(await unplugDevice(qmp, device))) return false
  await qmp.command('netdev_del', { id: netdev })
  return true
}
