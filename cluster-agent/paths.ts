// Where an agent keeps things. Flags may move each folder; below it the names are fixed.

import { join } from 'node:path'

export interface Paths {
  /** Survives a reboot: identity, desired state, images, disks. */
  readonly stateDir: string
  /** Gone after a reboot: sockets and pid files. */
  readonly runDir: string
  readonly configFile: string
}

export const DEFAULT_PATHS: Paths = {
  stateDir: '/var/lib/mallee',
  runDir: '/run/mallee',
  configFile: '/etc/mallee/agent.json',
}

/** One folder of an instance: disk.qcow2, qmp.sock, console.log, pid, machine.json. */
export function instanceDir(paths: Paths, id: string): string {
  return join(instancesDir(paths), id)
}

export function instancesDir(paths: Paths): string {
  return join(paths.stateDir, 'instances')
}

export function imagesDir(paths: Paths): string {
  return join(paths.stateDir, 'images')
}

/** Where QEMU reads images that are still on their way. */
export function lazyImagesSocket(paths: Paths): string {
  return join(paths.runDir, 'images.sock')
}

/** Bytes of objects, when no disks are named. */
export function objectsDir(paths: Pick<Paths, 'stateDir'>): string {
  return join(paths.stateDir, 'objects')
}

/** Bytes of volumes, when no folder is named. */
export function volumesDir(paths: Pick<Paths, 'stateDir'>): string {
  return join(paths.stateDir, 'volumes')
}

/** Who may write to volumes: with the agent's state, wherever their bytes are. */
export function volumeLedgersDir(paths: Paths): string {
  return join(paths.stateDir, 'volume-ledgers')
}

/** How far snapshots came, beside what is kept of them. */
export function snapshotLedgersDir(paths: Paths): string {
  return join(paths.stateDir, 'snapshot-ledgers')
}

/** Which folder has the volumes: a disk that is not mounted is not it. */
export function volumePlaceFile(paths: Paths): string {
  return join(paths.stateDir, 'volume-place')
}

/** What volumes begin as, and what of that is on the disk: as long as it has not all come. */
export function restoreLedgersDir(paths: Paths): string {
  return join(paths.stateDir, 'restore-ledgers')
}

/** Their socket, and what they are shown as. */
export function restoresRunDir(paths: Pick<Paths, 'runDir'>): string {
  return join(paths.runDir, 'restores')
}

export function tgtdFiles({ runDir }: Paths): { readonly socket: string; readonly log: string } {
  return { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
}

export function identityDir(paths: Paths): string {
  return join(paths.stateDir, 'identity')
}
