// The devices of a machine that runs, over QMP: which there are, a free place, and to ask a guest
// to let go of one.

import { messageOf } from '../../common/errors.ts'
import { SLOT } from './qemu.ts'
import type { Qmp } from './qmp.ts'

const DEVICES = '/machine/peripheral'
/** A guest that runs lets go within some 100 ms; one that boots does when it is up. */
export const UNPLUG_MS = 3_000

export interface QomItem {
  readonly name: string
  readonly type: string
}

/** Those that have an id. */
export async function devicesOf(qmp: Qmp): Promise<QomItem[]> {
  const items = (await qmp.command('qom-list', { path: DEVICES })) as QomItem[]
  return items.filter(({ type }) => type.startsWith('child<'))
}

export async function deviceProperty(qmp: Qmp, device: string, name: string): Promise<string> {
  return String(await qmp.command('qom-get', { path: `${DEVICES}/${device}`, property: name }))
}

/**
 * The first slot without a device; null when all are taken. Not from query-pci, which sees no
 * devices in slots before the firmware has.
 */
export async function firstFreeSlot(qmp: Qmp): Promise<string | null> {
  const names = (await devicesOf(qmp)).map(({ name }) => name)
  const taken = new Set<string | undefined>()
  // One by one: there may be more devices than questions at a time.
  for (const name of names) taken.add(await busOf(qmp, name))
  const free = names.filter((name) => SLOT.test(name) && !taken.has(name))
  return free.sort((a, b) => slotNumber(a) - slotNumber(b))[0] ?? null
}

/** The number of the slot that a device is in; 0 when it is in none. */
export async function slotOf(qmp: Qmp, device: string): Promise<number> {
  const bus = await busOf(qmp, device)
  return SLOT.test(bus) ? slotNumber(bus) : 0
}

/** Asks the guest to let go of a device; false when it does not do so in time. */
export async function unplugDevice(qmp: Qmp, device: string, waitMs = UNPLUG_MS): Promise<boolean> {
  let stopListening = () => {}
  let timer: NodeJS.Timeout | undefined
  const gone = new Promise<boolean>((resolve) => {
    stopListening = qmp.onEvent(({ name, data }) => {
      if (name === 'DEVICE_DELETED' && data['device'] === device) resolve(true)
    })
    timer = setTimeout(() => resolve(false), waitMs)
  })
  try {
    await qmp.command('device_del', { id: device }).catch((error: unknown) => {
      if (!/already in the process of unplug/.test(messageOf(error))) throw error
    })
    return await gone
  } finally {
    stopListening()
    clearTimeout(timer)
  }
}

async function busOf(qmp: Qmp, device: string): Promise<string> {
  return (await deviceProperty(qmp, device, 'parent_bus')).split('/').at(-1) ?? ''
}

function slotNumber(name: string): number {
  return Number(SLOT.exec(name)?.[1])
}
