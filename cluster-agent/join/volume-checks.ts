// What rack-join looks at for volumes, before anything changes. A host may store objects without
// them: what is missing is a warning.

import { messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import { ISCSI_PORT } from '../../common/ports.ts'
import { GIB, LUKS_HEADER_BYTES } from '../../common/volume-sizes.ts'
import { loadLio, type VolumeTargetChoice } from '../../common/volume-target.ts'
import { probeVolumeTools } from '../../common/volume-tools.ts'
import { cephMonitors, cephPoolSpace } from '../host/ceph.ts'
import { listLinks } from '../host/ip.ts'
import { parseLvName, scansLvs } from '../host/lvm.ts'
import { listenersAt } from '../host/tgt.ts'
import type { Role } from '../role.ts'
import type { VolumeCeph } from '../sc/ceph/config.ts'
import { markOf, ofOthers, unfit } from '../sc/volumes/pool-mark.ts'
import { lookAt } from '../sc/volumes/thin-pool.ts'
import { type Check, failed, fine, warning } from './checks.ts'

const SCANS =
  'scan_lvs in lvm.conf is not 0: this host would take volume groups of guests for its own'
const POOL_PROGRAMS = [
  ['lvs', 'lvm2'],
  ['thin_check', 'thin-provisioning-tools'],
  ['thin_delta', 'thin-provisioning-tools'],
] as const

export interface VolumeChecks {
  readonly roles: readonly Role[]
  readonly trunk: string | null
  readonly storageAddress: string | null
  readonly volumePool: string | null
  readonly volumeCeph: VolumeCeph | null
  readonly volumeTarget: VolumeTargetChoice
  readonly host: string
  readonly rack: string
}

export async function checkVolumes(exec: Exec, options: VolumeChecks): Promise<Check[]> {
  const { roles, trunk, storageAddress, volumePool, volumeCeph, volumeTarget } = options
  const [isSc, isNc] = [roles.includes('sc'), roles.includes('nc')]
  if (!isSc && !isNc) return []
  const tools = await probeVolumeTools(exec)
  const { initiator, encrypting, restoring } = tools
  // Ceph has these of its own.
  const isOwn = volumeCeph === null
  const { targets } = tools
  const sharing = !isOwn || tools.sharing
  const notes = isOwn ? tools.notes : tools.notes.filter((note) => !/^(tgtd|mkfs)/.test(note))
  const missing = [
    isSc && isOwn && targets.length === 0,
    isNc && !initiator,
    isSc && !(sharing && encrypting && restoring),
  ]
  const lacks = missing.includes(true)
  const checks: Check[] = lacks
    ? notes.map((note) => warning('volumes', note))
    : [fine('volumes', 'all there')]
  if (isSc && isOwn && volumeTarget !== 'auto' && !targets.includes(volumeTarget)) {
    const why = volumeTarget === 'tgt' ? 'tgtd is not installed (Debian: tgt)' : await loadLio(exec)
    checks.push(warning('volumes', `--volume-target ${volumeTarget}: ${why}`))
  }
  if (storageAddress !== null) checks.push(await checkAddress(exec, storageAddress))
  else if (isSc && isOwn && trunk === null) {
    const why = 'no trunk and no --storage-address: volumes are served only to a rack of one host'
    checks.push(warning('storage network', why))
  }
  if (isSc && volumeCeph !== null) checks.push(await checkCeph(exec, volumeCeph))
  else if (isSc) checks.push(await checkPort(exec))
  if (isSc && volumePool !== null) checks.push(await checkPool(exec, volumePool, options))
  return checks
}

async function checkCeph(exec: Exec, ceph: VolumeCeph): Promise<Check> {
  try {
    const { fsid } = await cephMonitors(exec, ceph)
    const { freeBytes } = await cephPoolSpace(exec, ceph, ceph.pool)
    const free = `${(freeBytes / GIB).toFixed(0)} GiB free`
    return fine('Ceph', `the pool ${ceph.pool} of the cluster ${fsid}, ${free}`)
  } catch (error) {
    const who = `client.${ceph.user} by ${ceph.conf}`
    const needs = 'it needs the packages ceph-common and a user that may do what docs/ebs.md says'
    return failed('Ceph', `${who} cannot use the pool ${ceph.pool}: ${messageOf(error)}; ${needs}`)
  }
}

async function checkAddress(exec: Exec, address: string): Promise<Check> {
  const name = 'storage network'
  const link = (await listLinks(exec)).find(({ addresses }) =>
    addresses.some(({ cidr }) => cidr.startsWith(`${address}/`)),
  )
  if (link === undefined) return failed(name, `${address} is no address of this host`)
  if (!link.up) return warning(name, `${link.name}, which has ${address}, is down`)
  return fine(name, `${address} on ${link.name}`)
}

async function checkPool(
  exec: Exec,
  text: string,
  { host, rack }: Pick<VolumeChecks, 'host' | 'rack'>,
): Promise<Check> {
  const what = 'thin pool'
  const name = parseLvName(text)
  if (!name.ok) return failed(what, `${text} is not the names of a volume group and a pool`)
  for (const [program, debian] of POOL_PROGRAMS) {
    const options = { okCodes: [0, 1, 127] }
    const { code } = await exec(['sh', '-c', `command -v ${program}`], options)
    if (code !== 0) return failed(what, `${program} is not installed (Debian: ${debian})`)
  }
  try {
    const { pool } = await lookAt(exec, name.value)
    if (await scansLvs(exec)) return failed(what, SCANS)
    const why = unfit(pool, name.value, LUKS_HEADER_BYTES)
    if (why !== null) return failed(what, why)
    const mark = markOf(pool, name.value)
    if (mark !== null && (mark.host !== host || mark.rack !== rack)) {
      return failed(what, ofOthers(mark, name.value))
    }
    const used = pool.dataUsed === null ? 'not active' : `${Math.round(pool.dataUsed * 100)} % used`
    return fine(what, `${text}, ${(pool.sizeBytes / GIB).toFixed(1)} GiB, ${used}`)
  } catch (error) {
    return failed(what, messageOf(error))
  }
}

/** On any address: the one of the storage network may not be there yet. */
async function checkPort(exec: Exec): Promise<Check> {
  const [other] = await listenersAt(exec, `:${ISCSI_PORT}`)
  if (other === undefined) return fine('iSCSI', `port ${ISCSI_PORT} is free`)
  const why = `${other} listens at port ${ISCSI_PORT}: volumes are served only beside its addresses`
  return warning('iSCSI', why)
}
