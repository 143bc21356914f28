// What LIO's tree in configfs says of its targets.

import { MalleeError } from '../../common/errors.ts'
import type { ConfigTree } from './config-tree.ts'
import { groupOf, type LioStore, storeOf } from './lio.ts'

export interface LioTarget {
  readonly iqn: string
  /** Can anybody log in, by what it is? */
  readonly isOn: boolean
  readonly portals: readonly string[]
  readonly luns: readonly LioLun[]
  readonly initiators: readonly LioAccess[]
}

export interface LioLun {
  readonly lun: number
  /** Null for one that was made by half. */
  readonly store: LioStore | null
}

export interface LioAccess {
  readonly initiator: string
  /** Null as long as it cannot log in. */
  readonly user: string | null
  readonly hasSession: boolean
}

export interface StoreShown {
  readonly file: string
  readonly serial: string
  /** Null before it is switched on. */
  readonly sizeBytes: number | null
  /** Does it take discards, or can what is below it not? */
  readonly thin: boolean
}

const SECTOR_BYTES = 512
const NO_SESSION = 'No active iSCSI Session'

/** Those whose names fit. */
export async function showTargets(tree: ConfigTree, names: RegExp): Promise<LioTarget[]> {
  const targets: LioTarget[] = []
  for (const iqn of await tree.list('iscsi')) {
    if (names.test(iqn)) targets.push(await showTarget(tree, iqn))
  }
  return targets
}

export async function showTarget(tree: ConfigTree, iqn: string): Promise<LioTarget> {
  const group = groupOf(iqn)
  const luns: LioLun[] = []
  for (const name of await tree.list(`${group}/lun`)) {
    const lun = Number(/^lun_(\d+)$/.exec(name)?.[1])
    luns.push({ lun, store: await storeOf(tree, iqn, name) })
  }
  const initiators: LioAccess[] = []
  for (const initiator of await tree.list(`${group}/acls`)) {
    const folder = `${group}/acls/${initiator}`
    const info = (await tree.read(`${folder}/info`)) ?? NO_SESSION
    const user = (await tree.read(`${folder}/auth/userid`)) ?? ''
    const hasSession = !info.startsWith(NO_SESSION)
    initiators.push({ initiator, user: user === '' ? null : user, hasSession })
  }
  const isOn = (await tree.read(`${group}/enable`)) === '1'
  return { iqn, isOn, portals: await tree.list(`${group}/np`), luns, initiators }
}

/** `blockDevices` is the folder of the kernel's by number, /sys/dev/block. Null when it is gone. */
export async function showStore(
  { tree, blockDevices }: { readonly tree: ConfigTree; readonly blockDevices: ConfigTree },
  store: LioStore,
): Promise<StoreShown | null> {
  const info = await tree.read(`${store}/info`)
  if (info === null) return null
  const read = async (name: string): Promise<string> => (await tree.read(`${store}/${name}`)) ?? ''
  const isOn = info.includes('Status: ACTIVATED') || (await read('enable')) === '1'
  const [, major, minor] = /Major: (\d+) Minor: (\d+)/.exec(info) ?? []
  const bytes = /\sSize: (\d+)/.exec(info)?.[1]
  let sizeBytes = bytes === undefined ? null : Number(bytes)
  if (major !== undefined) {
    const sectors = await blockDevices.read(`${major}:${minor}/size`)
    sizeBytes = sectors === null ? null : Number(sectors) * SECTOR_BYTES
  } else if (bytes === undefined && isOn) {
    throw new MalleeError('CommandFailed', `LIO shows something strange: ${info.slice(0, 200)}`)
  }
  const thin =
    (await read('attrib/emulate_tpu')) === '1' ||
    (await read('attrib/max_unmap_block_desc_count')) === '0'
  return {
    file: await read('udev_path'),
    serial: (await read('wwn/vpd_unit_serial')).replace(/^T10 VPD Unit Serial Number: /, ''),
    sizeBytes: isOn ? sizeBytes : null,
    thin,
  }
}
