// LVM's thin pools and their volumes, by lvm2 (lvm(8), lvmthin(7)). One call tells all that a
// volume group has; no decisions here.

import { MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { no, ok, type Result } from '../../topology/result.ts'

/** A logical volume by its names. */
export interface LvName {
  readonly vg: string
  readonly lv: string
}

export interface LogicalVolume {
  readonly name: string
  /** `thin` and `thin-pool` are those of thin pools. */
  readonly kind: string
  readonly tags: readonly string[]
  /** Of a thin volume; null for others. */
  readonly pool: string | null
  readonly sizeBytes: number
  readonly isActive: boolean
  /** From 0 to 1, of what it has; null while it is not active, and of what has no such thing. */
  readonly dataUsed: number | null
  readonly metadataUsed: number | null
  /** Of a thin volume, in its pool. */
  readonly thinId: number | null
  /** Every size in the group is a multiple of it. */
  readonly extentBytes: number
  /** Of a pool: what its volumes are mapped in. */
  readonly chunkBytes: number
  /** Of a pool: are new chunks zeroed? Else they show what others had there. */
  readonly zeroes: boolean
  /** Of a pool: do writes without room fail? Else they wait for room. */
  readonly failsWhenFull: boolean
  /** Of a pool: `ignore`, `nopassdown` or `passdown`. */
  readonly discards: string
  /** What is wrong with it; empty when nothing is. */
  readonly health: string
}

/** lvm(8), "Valid names"; hyphens are not first. */
const NAME = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}$/
const FIELDS = [
  ...['lv_name', 'segtype', 'lv_tags', 'pool_lv', 'lv_size', 'lv_active', 'data_percent'],
  ...['metadata_percent', 'thin_id', 'vg_extent_size', 'chunk_size', 'zero', 'lv_when_full'],
  ...['discards', 'lv_health_status'],
]
type Row = Readonly<Record<string, string>>

const LIST_MS = 30_000
/** A change waits for others of the group, and for what is on its way to the device. */
const CHANGE_MS = 120_000
/** A row takes some 400 bytes: 100,000 volumes. */
const MAX_BYTES = 64 << 20
const NO_ROOM = /insufficient|reached threshold|not enough (free )?space|out of data space/i

export function parseLvName(text: string): Result<LvName, 'BadLvName'> {
  const [vg = '', lv = '', ...more] = text.split('/')
  const fits = [vg, lv].every((name) => NAME.test(name) && !/^\.\.?$/.test(name))
  return fits && more.length === 0 ? ok({ vg, lv }) : no('BadLvName')
}

export function lvText({ vg, lv }: LvName): string {
  return `${vg}/${lv}`
}

/** Where the device of an active one is. */
export function lvPath({ vg, lv }: LvName): string {
  return `/dev/${vg}/${lv}`
}

/** The device mapper's name of it, or of a layer below it: hyphens within names are doubled. */
export function dmName({ vg, lv }: LvName, layer?: string): string {
  const parts = layer === undefined ? [vg, lv] : [vg, lv, layer]
  return parts.map((part) => part.replaceAll('-', '--')).join('-')
}

/** All of a group, hidden ones left out. Throws NotFound without the group, Unavailable. */
export async function listLvs(exec: Exec, vg: string): Promise<LogicalVolume[]> {
  const format = ['--reportformat', 'json', '--units', 'b', '--nosuffix']
  const argv = ['lvs', ...format, '-o', FIELDS.join(), vg]
  try {
    const { stdout } = await exec(argv, { timeoutMs: LIST_MS, maxBytes: MAX_BYTES })
    return parseLvs(stdout)
  } catch (error) {
    const text = messageOf(error)
    if (text.includes('cannot be started')) {
      throw new MalleeError('Unavailable', 'lvm2 is not installed', { cause: error })
    }
    if (!/Volume group ".*" not found/.test(text)) throw error
    throw new MalleeError('NotFound', `there is no volume group ${vg}`, { cause: error })
  }
}

/** Does this host look for volume groups within logical volumes? Guests' own are there. */
export async function scansLvs(exec: Exec): Promise<boolean> {
  const { stdout } = await exec(['lvmconfig', '--typeconfig', 'full', 'devices/scan_lvs'])
  return stdout.trim() !== 'scan_lvs=0'
}

/** Throws CommandFailed for what lvs never says. */
export function parseLvs(text: string): LogicalVolume[] {
  let rows: unknown
  try {
    rows = (JSON.parse(text) as { report: { lv: Row[] }[] }).report.flatMap(({ lv }) => lv)
  } catch (cause) {
    throw new MalleeError('CommandFailed', 'lvs showed something strange', { cause })
  }
  return (rows as Row[]).map(volumeOf)
}

/** All zeroes, and active. Throws NameTaken, StoreFull. */
export async function createThin(
  exec: Exec,
  name: LvName,
  of: { readonly pool: string; readonly sizeBytes: number; readonly tag: string },
): Promise<void> {
  const kind = ['--type', 'thin', '--thinpool', of.pool, '--virtualsize', `${of.sizeBytes}b`]
  await change(exec, ['lvcreate', '--yes', ...kind, ...asTagged(name, of.tag), name.vg])
}

/**
 * What another thin volume has at this moment, and active; only that one's writers wait. Throws
 * NameTaken, StoreFull.
 */
export async function snapshotThin(
  exec: Exec,
  name: LvName,
  of: { readonly origin: string; readonly tag: string; readonly isReadOnly: boolean },
): Promise<void> {
  const how = ['--permission', of.isReadOnly ? 'r' : 'rw', '--setactivationskip', 'n']
  const argv = ['lvcreate', '--yes', '--snapshot', ...how, ...asTagged(name, of.tag)]
  await change(exec, [...argv, lvText({ vg: name.vg, lv: of.origin })])
}

/** Also while it is used. Throws CommandFailed when it has that size already. */
export async function extendLv(exec: Exec, name: LvName, sizeBytes: number): Promise<void> {
  await change(exec, ['lvextend', '--size', `${sizeBytes}b`, lvText(name)])
}

/** Also while it is used. Throws NameTaken. */
export async function renameLv(exec: Exec, { vg, lv }: LvName, to: string): Promise<void> {
  await change(exec, ['lvrename', vg, lv, to])
}

/** Throws CommandFailed while it is used. */
export async function removeLv(exec: Exec, name: LvName): Promise<void> {
  await change(exec, ['lvremove', '--yes', lvText(name)])
}

/** Of one group. Throws CommandFailed when one of them cannot be; the others are. */
export async function activateLvs(exec: Exec, names: readonly LvName[]): Promise<void> {
  const flags = ['--activate', 'y', '--ignoreactivationskip']
  await change(exec, ['lvchange', ...flags, ...names.map(lvText)])
}

/** As above. */
export async function deactivateLvs(exec: Exec, names: readonly LvName[]): Promise<void> {
  await change(exec, ['lvchange', '--activate', 'n', ...names.map(lvText)])
}

export async function setTag(
  exec: Exec,
  name: LvName,
  { tag, isOn }: { readonly tag: string; readonly isOn: boolean },
): Promise<void> {
  await change(exec, ['lvchange', isOn ? '--addtag' : '--deltag', tag, lvText(name)])
}

/** Of a pool: writes without room fail. */
export async function failWhenFull(exec: Exec, pool: LvName): Promise<void> {
  await change(exec, ['lvchange', '--errorwhenfull', 'y', lvText(pool)])
}

function asTagged({ lv }: LvName, tag: string): string[] {
  return ['--name', lv, '--addtag', tag]
}

async function change(exec: Exec, argv: readonly string[]): Promise<void> {
  try {
    await exec(argv, { timeoutMs: CHANGE_MS })
  } catch (error) {
    const text = messageOf(error)
    if (/already exists/.test(text)) {
      throw new MalleeError('NameTaken', text, { cause: error })
    }
    if (!NO_ROOM.test(text)) throw error
    throw new MalleeError('StoreFull', text, { cause: error })
  }
}

function volumeOf(row: Row): LogicalVolume {
  const text = (field: string): string => {
    const value = row[field]
    if (typeof value === 'string') return value
    throw new MalleeError('CommandFailed', `lvs showed a volume without ${field}`)
  }
  const number = (field: string): number | null => {
    const value = text(field)
    if (/^\d*(\.\d+)?$/.test(value)) return value === '' ? null : Number(value)
    throw new MalleeError('CommandFailed', `lvs showed ${field} as ${value}`)
  }
  const share = (field: string): number | null => {
    const percent = number(field)
    return percent === null ? null : percent / 100
  }
  return {
    name: text('lv_name'),
    kind: text('segtype'),
    tags: text('lv_tags').split(',').filter(Boolean),
    pool: text('pool_lv') || null,
    sizeBytes: number('lv_size') ?? 0,
    isActive: text('lv_active') === 'active',
    dataUsed: share('data_percent'),
    metadataUsed: share('metadata_percent'),
    thinId: number('thin_id'),
    extentBytes: number('vg_extent_size') ?? 0,
    chunkBytes: number('chunk_size') ?? 0,
    zeroes: text('zero') === 'zero',
    failsWhenFull: text('lv_when_full') === 'error',
    discards: text('discards'),
    health: text('lv_health_status'),
  }
}
