// LIO, the iSCSI target in the kernel, through its tree in configfs (/sys/kernel/config/target):
// what targetcli(8) does, without it. The kernel keeps it until the machine restarts. One portal
// group a target; users of CHAP belong to initiators.

import { dirname } from 'node:path/posix'
import { MalleeError } from '../../common/errors.ts'
import type { ConfigTree } from './config-tree.ts'

/** What serves a file or a block device: its folder below `core`. */
export type LioStore = string

export interface NewStore {
  readonly name: string
  readonly file: string
  /** Block devices are served past the page cache, by themselves. */
  readonly isBlockDevice: boolean
  /** Of a file; a block device has its own. */
  readonly sizeBytes: number
  readonly serial: string
}

export interface LioInitiator {
  readonly initiator: string
  readonly lun: number
  /** Of CHAP. */
  readonly user: string
  readonly secret: string
}

/** Of our own: other tools number theirs from 0. */
const HOST_BUS_ADAPTER = 8773
const FILES = `fileio_${HOST_BUS_ADAPTER}`
const BLOCK_DEVICES = `iblock_${HOST_BUS_ADAPTER}`
const PORTAL_GROUP = 'tpgt_1'
/** The name of every link, within the folder of what it is for. */
const LINK = 'volume'
/** SCSI's INQUIRY, at most 8 and 16 characters. */
const [VENDOR, PRODUCT] = ['MALLEE', 'EBS']
/** FD_MAX_DEV_NAME of the kernel, with the end. */
const MAX_FILE_CHARS = 255
/** RFC 3720, section 3.2.6.3. */
const TARGET = /^(?:iqn|eui|naa)\./
/** What stands in its texts between commas. */
const PLAIN = /^[^,\0\n]+$/

export function isThere(tree: ConfigTree): Promise<boolean> {
  return tree.list('core').then((names) => names.length > 0)
}

/** Ours, in use or not. */
export async function listStores(tree: ConfigTree): Promise<readonly LioStore[]> {
  const all: LioStore[] = []
  for (const adapter of [FILES, BLOCK_DEVICES]) {
    for (const name of await tree.list(`core/${adapter}`)) {
      // Beside folders, an adapter has files of its own.
      if ((await tree.read(`core/${adapter}/${name}/enable`)) !== null) {
        all.push(`core/${adapter}/${name}`)
      }
    }
  }
  return all
}

/** Which file a store serves, if it is one that serves. */
export async function fileOf(tree: ConfigTree, store: LioStore): Promise<string | null> {
  return (await tree.read(`${store}/enable`)) === '1' ? tree.read(`${store}/udev_path`) : null
}

export function storeNamed(name: string, isBlockDevice: boolean): LioStore {
  return `core/${isBlockDevice ? BLOCK_DEVICES : FILES}/${name}`
}

/**
 * Of a file: written through the page cache, as a disk with a write cache that a flush empties, or
 * a write that asks for it; what is discarded becomes a hole. Throws CommandFailed.
 */
export async function createStore(tree: ConfigTree, store: NewStore): Promise<LioStore> {
  const { name, file, isBlockDevice, sizeBytes, serial } = store
  if (!PLAIN.test(file) || file.length > MAX_FILE_CHARS) {
    throw new MalleeError('BadArgument', `LIO does not take the path ${file}`)
  }
  const path = storeNamed(name, isBlockDevice)
  await tree.make(dirname(path))
  await tree.make(path)
  const how = `fd_dev_name=${file},fd_dev_size=${sizeBytes},fd_buffered_io=1`
  await tree.write(`${path}/control`, isBlockDevice ? `udev_path=${file}` : how)
  await tree.write(`${path}/udev_path`, file)
  await tree.write(`${path}/wwn/vendor_id`, VENDOR)
  await tree.write(`${path}/wwn/product_id`, PRODUCT)
  await tree.write(`${path}/wwn/vpd_unit_serial`, serial)
  await tree.write(`${path}/enable`, '1')
  const ranges = await tree.read(`${path}/attrib/max_unmap_block_desc_count`)
  if (ranges !== '0') await tree.write(`${path}/attrib/emulate_tpu`, '1')
  return path
}

/** Closes its file. Also when it is gone. Throws CommandFailed while a target has it. */
export function removeStore(tree: ConfigTree, store: LioStore): Promise<void> {
  return tree.remove(store)
}

/** Takes away what stays when there are neither stores nor targets, as far as others leave it. */
export async function removeAdapters(tree: ConfigTree): Promise<void> {
  for (const adapter of [FILES, BLOCK_DEVICES]) await tree.remove(`core/${adapter}`)
  const others = (await tree.list('iscsi')).some((name) => TARGET.test(name))
  if (!others) await tree.remove('iscsi')
}

/** Asks everybody for CHAP, lets nobody in, and listens nowhere. Throws NameTaken. */
export async function createTarget(
  tree: ConfigTree,
  { iqn, lun, store }: { readonly iqn: string; readonly lun: number; readonly store: LioStore },
): Promise<void> {
  await tree.make('iscsi')
  if (!(await tree.make(`iscsi/${iqn}`))) {
    throw new MalleeError('NameTaken', `there is a target ${iqn}`)
  }
  const group = groupOf(iqn)
  await tree.make(group)
  await tree.write(`${group}/attrib/authentication`, '1')
  await tree.write(`${group}/attrib/generate_node_acls`, '0')
  // Who may not log in is not told either that there is a target.
  await tree.write(`${group}/attrib/demo_mode_discovery`, '0')
  await tree.make(`${group}/lun/lun_${lun}`)
  await tree.link(`${group}/lun/lun_${lun}/${LINK}`, store)
}

/** Listens at `portal`, an address (IPv6 in brackets) and a port, and nowhere else any more. */
export async function listenAt(tree: ConfigTree, iqn: string, portal: string): Promise<void> {
  const folder = `${groupOf(iqn)}/np`
  await tree.make(`${folder}/${portal}`)
  for (const other of await tree.list(folder)) {
    if (other !== portal) await tree.remove(`${folder}/${other}`)
  }
}

/** Logins from now on. */
export function enable(tree: ConfigTree, iqn: string): Promise<void> {
  return tree.write(`${groupOf(iqn)}/enable`, '1')
}

/** No logins, also none that are under way; sessions end when what they brought has ended. */
export async function disable(tree: ConfigTree, iqn: string): Promise<void> {
  const file = `${groupOf(iqn)}/enable`
  if ((await tree.read(file)) === '1') await tree.write(file, '0')
}

/** Lets an initiator in. Its user is written last: without one, nobody can log in by its name. */
export async function allow(
  tree: ConfigTree,
  iqn: string,
  { initiator, lun, user, secret }: LioInitiator,
): Promise<void> {
  const group = groupOf(iqn)
  const folder = `${group}/acls/${initiator}`
  await tree.make(folder)
  // Before there is a secret in it.
  await tree.guard(`${folder}/auth`)
  await tree.make(`${folder}/lun_${lun}`)
  await tree.link(`${folder}/lun_${lun}/${LINK}`, `${group}/lun/lun_${lun}`)
  await tree.write(`${folder}/auth/password`, secret)
  await tree.write(`${folder}/auth/userid`, user)
}

/**
 * Takes its logical units from a target that has no sessions. It waits for commands that still have
 * one: when this returns nothing of them will be written any more. Also when it is gone.
 */
export async function empty(tree: ConfigTree, iqn: string): Promise<void> {
  const group = groupOf(iqn)
  for (const initiator of await tree.list(`${group}/acls`)) {
    await removeLuns(tree, `${group}/acls/${initiator}`)
  }
  await removeLuns(tree, `${group}/lun`)
}

/** Takes away a target that is empty and has no sessions. Also when it is gone, or half of it. */
export async function removeTarget(tree: ConfigTree, iqn: string): Promise<void> {
  const group = groupOf(iqn)
  for (const folder of ['acls', 'np']) {
    for (const name of await tree.list(`${group}/${folder}`)) {
      await tree.remove(`${group}/${folder}/${name}`)
    }
  }
  await tree.remove(group)
  await tree.remove(`iscsi/${iqn}`)
}

async function removeLuns(tree: ConfigTree, folder: string): Promise<void> {
  for (const name of await tree.list(folder)) {
    if (!name.startsWith('lun_')) continue
    await tree.unlink(`${folder}/${name}/${LINK}`)
    await tree.remove(`${folder}/${name}`)
  }
}

/** The folder of a target's portal group. */
export function groupOf(iqn: string): string {
  return `iscsi/${iqn}/${PORTAL_GROUP}`
}

/** The store that a logical unit serves; null when it has none. */
export function storeOf(tree: ConfigTree, iqn: string, lun: string): Promise<LioStore | null> {
  return tree.linked(`${groupOf(iqn)}/lun/${lun}/${LINK}`)
}
