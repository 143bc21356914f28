// Ceph's images by rbd(8): in one namespace of one pool.

import type { Exec, ExecOptions } from '../../common/exec.ts'
import { accessArgs, type CephAccess } from './ceph.ts'

export interface RbdPlace extends CephAccess {
  readonly pool: string
  readonly namespace: string
}

export interface RbdImage {
  readonly name: string
  /** Stays when it is renamed: the names of its objects have it. */
  readonly id: string
  readonly sizeBytes: number
  readonly usedBytes: number
}

export interface RbdSnapshot extends Pick<RbdImage, 'name' | 'sizeBytes' | 'usedBytes'> {
  readonly image: string
}

export interface RbdExtent {
  readonly offset: number
  readonly length: number
}

const COMMAND_MS = 60_000
/** Of what takes longer the larger an image is. */
const LONG_MS = 600_000
/** Where an image has bytes: some 50 of them for each 4 MiB. */
const MAX_BYTES = 1 << 30
const MIB = 1 << 20
const EXISTS = 17
/** Snapshots, one writer at a time, and what is where without reading. */
const FEATURES = 'layering,exclusive-lock,object-map,fast-diff,deep-flatten'

/** Also when it is there already. */
export async function makeRbdNamespace(exec: Exec, place: RbdPlace): Promise<void> {
  const named = ['--pool', place.pool, '--namespace', place.namespace]
  await rbd(exec, place, ['namespace', 'create', ...named], { okCodes: [0, EXISTS] })
}

/** All images and their snapshots. */
export async function listRbdImages(
  exec: Exec,
  place: RbdPlace,
): Promise<{ readonly images: readonly RbdImage[]; readonly snapshots: readonly RbdSnapshot[] }> {
  const named = ['--pool', place.pool, '--namespace', place.namespace]
  const { stdout } = await rbd(exec, place, ['du', ...named, '--format', 'json'])
  const all = (JSON.parse(stdout) as Du).images
  const sizes = ({ provisioned_size: sizeBytes, used_size: usedBytes }: Du['images'][number]) => ({
    ...{ sizeBytes, usedBytes },
  })
  return {
    images: all.flatMap((one) =>
      one.snapshot === undefined ? [{ name: one.name, id: one.id, ...sizes(one) }] : [],
    ),
    snapshots: all.flatMap((one) =>
      one.snapshot === undefined ? [] : [{ name: one.snapshot, image: one.name, ...sizes(one) }],
    ),
  }
}

/** All zeroes; a whole number of MiB. */
export async function createRbdImage(
  exec: Exec,
  place: RbdPlace,
  { name, sizeBytes }: Pick<RbdImage, 'name' | 'sizeBytes'>,
): Promise<void> {
  const how = ['--size', mib(sizeBytes), '--image-feature', FEATURES]
  await rbd(exec, place, ['create', ...how, spec(place, name)])
}

/** As large as the file is. */
export async function importRbdImage(
  exec: Exec,
  place: RbdPlace,
  { name, file }: { readonly name: string; readonly file: string },
): Promise<void> {
  const argv = ['import', '--no-progress', '--image-feature', FEATURES, file]
  await rbd(exec, place, [...argv, spec(place, name)], { timeoutMs: LONG_MS })
}

/** It grows; rbd(8) shrinks nothing unless it is told that it may. */
export async function growRbdImage(
  exec: Exec,
  place: RbdPlace,
  { name, sizeBytes }: Pick<RbdImage, 'name' | 'sizeBytes'>,
): Promise<void> {
  await rbd(exec, place, ['resize', '--no-progress', '--size', mib(sizeBytes), spec(place, name)])
}

export async function renameRbdImage(
  exec: Exec,
  place: RbdPlace,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  await rbd(exec, place, ['mv', spec(place, from), spec(place, to)])
}

/** One without snapshots. */
export async function removeRbdImage(exec: Exec, place: RbdPlace, name: string): Promise<void> {
  await rbd(exec, place, ['rm', '--no-progress', spec(place, name)], { timeoutMs: LONG_MS })
}

/** What a snapshot has, by itself: it needs nothing of what it was made of. */
export async function copyRbdSnapshot(
  exec: Exec,
  place: RbdPlace,
  { image, snapshot, to }: Readonly<Record<'image' | 'snapshot' | 'to', string>>,
): Promise<void> {
  // Of the second kind: its parent's snapshot need not be protected for it.
  const clone = ['clone', '--rbd-default-clone-format', '2', '--image-feature', FEATURES]
  await rbd(exec, place, [...clone, `${spec(place, image)}@${snapshot}`, spec(place, to)])
  await rbd(exec, place, ['flatten', '--no-progress', spec(place, to)], { timeoutMs: LONG_MS })
}

/** Of one moment, also while somebody writes. */
export async function makeRbdSnapshot(
  exec: Exec,
  place: RbdPlace,
  { image, snapshot }: Readonly<Record<'image' | 'snapshot', string>>,
): Promise<void> {
  await rbd(exec, place, ['snap', 'create', '--no-progress', `${spec(place, image)}@${snapshot}`])
}

export async function removeRbdSnapshot(
  exec: Exec,
  place: RbdPlace,
  { image, snapshot }: Readonly<Record<'image' | 'snapshot', string>>,
): Promise<void> {
  const argv = ['snap', 'rm', '--no-progress', `${spec(place, image)}@${snapshot}`]
  await rbd(exec, place, argv, { timeoutMs: LONG_MS })
}

/** Where it has bytes, or, `since` another snapshot of the same image, where it may have others. */
export async function diffRbdSnapshot(
  exec: Exec,
  place: RbdPlace,
  { image, snapshot }: Readonly<Record<'image' | 'snapshot', string>>,
  since: string | null,
): Promise<RbdExtent[]> {
  const from = since === null ? [] : ['--from-snap', since]
  const argv = ['diff', ...from, '--format', 'json', `${spec(place, image)}@${snapshot}`]
  const { stdout } = await rbd(exec, place, argv, { timeoutMs: LONG_MS, maxBytes: MAX_BYTES })
  return (JSON.parse(stdout) as RbdExtent[]).map(({ offset, length }) => ({ offset, length }))
}

/** Who has an image open, and who may write to it now: address:0/number. */
export async function listRbdClients(
  exec: Exec,
  place: RbdPlace,
  name: string,
): Promise<{ readonly watchers: readonly string[]; readonly lockers: readonly string[] }> {
  const json = ['--format', 'json', spec(place, name)]
  const status = JSON.parse((await rbd(exec, place, ['status', ...json])).stdout) as Status
  const locks = JSON.parse((await rbd(exec, place, ['lock', 'ls', ...json])).stdout) as Client[]
  return {
    watchers: (status.watchers ?? []).map(({ address }) => address),
    lockers: locks.map(({ address }) => address),
  }
}

function rbd(exec: Exec, place: RbdPlace, argv: readonly string[], options: ExecOptions = {}) {
  return exec(['rbd', ...accessArgs(place), ...argv], { timeoutMs: COMMAND_MS, ...options })
}

function spec({ pool, namespace }: RbdPlace, image: string): string {
  return `${pool}/${namespace}/${image}`
}

function mib(bytes: number): string {
  return `${bytes / MIB}M`
}

interface Du {
  readonly images: readonly {
    readonly name: string
    readonly id: string
    readonly snapshot?: string
    readonly provisioned_size: number
    readonly used_size: number
  }[]
}

interface Client {
  readonly address: string
}

interface Status {
  readonly watchers?: readonly Client[]
}
