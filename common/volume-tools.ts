// What this machine has for volumes: the iSCSI target of an SC, QEMU's initiator on hosts with
// instances, and a file system whose files share blocks. Every answer comes from trying.

import type { Exec } from './exec.ts'
import { loadLio, type VolumeTarget } from './volume-target.ts'

export interface VolumeTools {
  /** What it can serve volumes by, the best one first. */
  readonly targets: readonly VolumeTarget[]
  /** Can its instances have volumes? */
  readonly initiator: boolean
  /** Can it make a file system that shares blocks where the disk has another one? */
  readonly sharing: boolean
  /** Can it make encrypted volumes? */
  readonly encrypting: boolean
  /** Can it make volumes of snapshots? */
  readonly restoring: boolean
  /** `group/pool` of LVM's that there are; null where there can be none. */
  readonly thinPools: readonly string[] | null
  /** Can it keep volumes in Ceph? */
  readonly ceph: boolean
  /** One sentence for each thing that is missing, and what that costs. */
  readonly notes: readonly string[]
}

/** Nobody listens there: QEMU says so, or that it has no iSCSI at all. */
const NOWHERE = 'iscsi://127.0.0.1:1/nowhere/1'
const NO_TARGET =
  'tgtd is not installed (Debian: tgt), and LIO is not to be had: as SC this host serves no volumes'
const NO_INITIATOR =
  "QEMU's iSCSI is not installed (Debian: qemu-block-extra): instances here get no volumes"
const NO_SHARING =
  'mkfs.xfs (Debian: xfsprogs), losetup or loop devices are missing: as SC this host makes ' +
  'snapshots only on XFS or btrfs'
const NO_ENCRYPTING =
  'cryptsetup is not installed (Debian: cryptsetup-bin): as SC this host makes no encrypted volumes'
const NO_RESTORING =
  'qemu-storage-daemon (Debian: qemu-system-common) or /dev/fuse is missing: as SC this host ' +
  'makes no volumes of snapshots'

/** Of the machine's LVM, with the tools that thin pools need and a kernel that has them. */
const THIN_POOLS =
  'command -v thin_check >/dev/null && command -v thin_delta >/dev/null && ' +
  '{ modprobe --quiet --dry-run dm_thin_pool || dmsetup targets | grep -q ^thin-pool; } && ' +
  "lvs --noheadings --separator / --select 'segtype=thin-pool' -o vg_name,lv_name"

/** May load the kernel's modules of LIO, and mount configfs. */
export async function probeVolumeTools(exec: Exec): Promise<VolumeTools> {
  const has = async (line: string): Promise<boolean> => {
    const options = { okCodes: [0, 1, 2, 126, 127], timeoutMs: 10_000 }
    return (await exec(['sh', '-c', line], options)).code === 0
  }
  const targets: VolumeTarget[] = []
  if ((await loadLio(exec)) === null) targets.push('lio')
  if (await has('command -v tgtd')) targets.push('tgt')
  const initiator = await has(
    `command -v qemu-img && ! LC_ALL=C qemu-img info ${NOWHERE} 2>&1 | grep -q Unknown`,
  )
  const sharing = await has(
    'command -v mkfs.xfs && command -v losetup && test -c /dev/loop-control',
  )
  const encrypting = await has('command -v cryptsetup')
  const restoring = await has('command -v qemu-storage-daemon && test -c /dev/fuse')
  const pools = await exec(['sh', '-c', THIN_POOLS], { okCodes: [0, 1, 5, 127] })
  const thinPools =
    pools.code === 0 ? pools.stdout.split('\n').flatMap((line) => line.trim() || []) : null
  const ceph = await has('command -v ceph && command -v rbd')
  const notes = [
    targets.length > 0 ? null : NO_TARGET,
    initiator ? null : NO_INITIATOR,
    sharing ? null : NO_SHARING,
    encrypting ? null : NO_ENCRYPTING,
    restoring ? null : NO_RESTORING,
  ].filter((note) => note !== null)
  return { targets, initiator, sharing, encrypting, restoring, thinPools, ceph, notes }
}
