// All machines of this host: those that are wanted, and those that are still there. One that cannot
// be made does not keep the others waiting.

import { readdir } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { create } from '@bufbuild/protobuf'
import { MalleeError, messageOf } from '../../common/errors.ts'
import { reconcileOnce } from '../../common/reconcile.ts'
import {
  InstanceState,
  InstanceStatusSchema,
  type Status,
  StatusSchema,
} from '../../proto/gen/mallee/v1/observed_pb.js'
import type { PluggedVolume } from '../../proto/gen/mallee/v1/volumes_pb.js'
import { instancesDir } from '../paths.ts'
import { Machine, type MachineOptions } from './machine.ts'
import type { Ended } from './machine-file.ts'
import { type MachineSeen, planMachine } from './machine-plan.ts'
import { screenshot } from './screenshot.ts'
import { openSerialPort } from './serial-port.ts'
import type { MachineWanted } from './wanted.ts'

/** Machines that are made at the same time: a start is mostly QEMU's work. */
const CONCURRENCY = 4

/** Of a pass: a start, and what its guest waits for. */
const ROUNDS = 3

interface View {
  readonly state: InstanceState
  readonly code: string
  readonly message: string
  readonly rebootCount: number
  readonly startCount: number
  readonly sinceMs: number
}

interface Entry {
  readonly machine: Machine
  wanted: MachineWanted | null
  view: View
  /** The digest of its image while the disk is there; not known before it was looked at. */
  image: string | null | undefined
  /** MACs of the interfaces that its guest has. */
  macs: readonly string[]
  volumes: readonly PluggedVolume[]
}

export class Machines {
  readonly #options: MachineOptions
  readonly #host: string
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<() => void>()
  #shots = 0

  constructor(options: MachineOptions, host: string) {
    this.#options = options
    this.#host = host
  }

  /** Makes `wanted` true and removes every other machine. Throws the first failure, at the end. */
  async pass(wanted: readonly MachineWanted[]): Promise<void> {
    const byId = new Map(wanted.map((one) => [one.id, one]))
    for (const id of await this.#foldersOnDisk()) if (!byId.has(id)) this.#entry(id).wanted = null
    for (const [id, entry] of this.#entries) entry.wanted = byId.get(id) ?? null
    for (const one of wanted) this.#entry(one.id).wanted = one
    const failures: unknown[] = []
    const queue = [...this.#entries.values()]
    const work = async () => {
      for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
        await this.#one(entry).catch((error: unknown) => {
          const instance = entry?.machine.id
          this.#options.log.error('machine failed', { instance, error: messageOf(error) })
          failures.push(error)
        })
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, work))
    if (failures.length > 0) throw failures[0]
  }

  statuses(): Status[] {
    return [...this.#entries].map(([id, { view, volumes }]) => {
      const { state, code: reasonCode, message: reasonMessage, rebootCount, startCount } = view
      const counts = { rebootCount, startCount }
      const fields = { id, state, reasonCode, reasonMessage, ...counts, host: this.#host }
      const now = { sinceMs: BigInt(view.sinceMs), volumes: [...volumes] }
      const value = create(InstanceStatusSchema, { ...fields, ...now })
      return create(StatusSchema, { key: `instance/${id}`, body: { case: 'instance', value } })
    })
  }

  /** The machines whose guests run, as they are wanted. */
  running(): MachineWanted[] {
    return [...this.#entries.values()].flatMap(({ wanted, view }) =>
      wanted !== null && view.state === InstanceState.RUNNING ? [wanted] : [],
    )
  }

  /** What is on a guest's screen, as a JPEG file. Throws NotFound, NotSupported. */
  async screenshot(id: string, wakeUp: boolean): Promise<Uint8Array> {
    this.#shots += 1
    return screenshot(this.#runningOne(id), wakeUp, `screen-${this.#shots}.ppm`)
  }

  /** Throws NotFound. */
  async interrupt(id: string): Promise<void> {
    await this.#runningOne(id).monitor().command('inject-nmi')
  }

  /** Throws NotFound, Conflict when somebody has it. */
  async serialPort(id: string): Promise<Duplex> {
    return openSerialPort(this.#runningOne(id))
  }

  #runningOne(id: string): Machine {
    const entry = this.#entries.get(id)
    if (entry?.view.state === InstanceState.RUNNING) return entry.machine
    throw new MalleeError('NotFound', `${id} does not run on host ${this.#host}`)
  }

  /** Calls back when a machine changed by itself, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Digests of what disks here lie on and of what boots them; null when not all are known. */
  imagesInUse(): Set<string> | null {
    const entries = [...this.#entries.values()]
    const images = entries.map(({ image }) => image)
    if (images.includes(undefined)) return null
    const kernels = entries.flatMap(({ wanted }) => kernelDigests(wanted))
    return new Set([...images.filter((image) => typeof image === 'string'), ...kernels])
  }

  /** MACs of all interfaces that guests have now, wanted or not. */
  macsInUse(): Set<string> {
    return new Set([...this.#entries.values()].flatMap(({ macs }) => macs))
  }

  /** Hangs up on all machines; they go on. */
  letGo(): void {
    for (const { machine } of this.#entries.values()) machine.letGo()
    this.#entries.clear()
  }

  async #one(entry: Entry): Promise<void> {
    const { machine } = entry
    const { wanted } = entry
    const { log } = this.#options
    let seen: MachineSeen | null = null
    const observe = async () => {
      seen = await machine.observe(wanted)
      return seen
    }
    const plan = (now: MachineSeen) => planMachine(wanted, now)
    const name = `machine ${machine.id}`
    machine.volumes.begin()
    try {
      const apply = (step: Parameters<Machine['apply']>[1]) => machine.apply(wanted, step)
      // A machine whose guest waits for disks has one more round: that guest is not left waiting.
      for (let round = 0; round < ROUNDS; round += 1) {
        const steps = await reconcileOnce({ name, observe, plan, apply }, log)
        const now = steps > 0 ? await observe() : null
        if (now === null || !isWaiting(now)) break
      }
    } catch (error) {
      // What was done before the failing step is to be told, too.
      await observe().catch(() => undefined)
      if (seen !== null) this.#show(entry, seen)
      throw error
    }
    if (seen !== null) this.#show(entry, seen)
    if (wanted === null) {
      machine.letGo()
      this.#entries.delete(machine.id)
    }
  }

  #show(entry: Entry, seen: MachineSeen): void {
    const { nowMs } = seen
    const { file, process } = seen
    entry.image = file?.diskless || file?.imageSha256 === '' ? null : (file?.imageSha256 ?? null)
    // A machine that does not answer is as it was.
    if (process === 'stuck') return
    const { machine, wanted } = entry
    entry.macs = process === 'none' ? [] : process.nics.map(({ mac }) => mac)
    const volumes = process === 'none' ? [] : process.volumes
    const lacks = wanted?.power === 'running' ? wanted.volumes : []
    const isOver = process === 'none' && file?.ended != null
    entry.volumes = isOver ? [] : machine.volumes.report(lacks, volumes)
    entry.view = since(entry.view, viewOf(entry.wanted, seen), nowMs)
  }

  #ended(id: string, { code, message }: Omit<Ended, 'atMs'>): void {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.wanted?.power !== 'running') return
    // The first reason stands: a guest that powered off has its QEMU ended by us.
    if (entry.view.state === InstanceState.STOPPED) return
    const view = { ...entry.view, state: InstanceState.STOPPED, code, message }
    entry.view = since(entry.view, view, this.#options.clock.nowMs())
    this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #entry(id: string): Entry {
    const known = this.#entries.get(id)
    if (known !== undefined) return known
    const sinceMs = this.#options.clock.nowMs()
    const counts = { rebootCount: 0, startCount: 0 }
    const view = { state: InstanceState.PENDING, code: '', message: '', ...counts, sinceMs }
    const onEnd = (ended: Omit<Ended, 'atMs'>) => this.#ended(id, ended)
    const machine = new Machine(id, this.#options, onEnd, () => this.#changed())
    const first = { wanted: null, image: undefined, macs: [], volumes: [] }
    const entry: Entry = { machine, view, ...first }
    this.#entries.set(id, entry)
    return entry
  }

  async #foldersOnDisk(): Promise<string[]> {
    const names = await readdir(instancesDir(this.#options.paths)).catch(() => [])
    return names.filter((name) => name.startsWith('i-'))
  }
}

function kernelDigests(wanted: MachineWanted | null): string[] {
  if (wanted?.kernel == null || wanted.power === 'terminated') return []
  const { kernel, ramdisk } = wanted.kernel
  return [kernel.sha256, ...(ramdisk === null ? [] : [ramdisk.sha256])]
}

function viewOf(wanted: MachineWanted | null, seen: MachineSeen): Omit<View, 'sinceMs'> {
  const { file, process } = seen
  const rebootCount = file?.rebootCount ?? 0
  // What stands still as it is to, does so also after a start that never came to be.
  const standsStill = process === 'none' && wanted?.power === 'stopped'
  const startCount = standsStill ? wanted.startCount : (file?.startCount ?? 0)
  const counts = { rebootCount, startCount }
  const plain = (state: InstanceState) => ({ state, code: '', message: '', ...counts })
  if (wanted === null || wanted.power === 'terminated') {
    const gone = process === 'none' && !seen.folder
    // The count of the wish: the file is gone, and numbers do not run backwards.
    const state = gone ? InstanceState.TERMINATED : InstanceState.RUNNING
    return { ...plain(state), rebootCount: wanted?.rebootCount ?? rebootCount }
  }
  if (file?.ended != null) {
    const { code, message } = file.ended
    return { state: InstanceState.STOPPED, code, message, ...counts }
  }
  if (process !== 'none' && process !== 'stuck' && !isWaiting(seen)) {
    return plain(InstanceState.RUNNING)
  }
  return plain(wanted.power === 'stopped' ? InstanceState.STOPPED : InstanceState.PENDING)
}

function isWaiting({ process }: MachineSeen): boolean {
  return process !== 'none' && process !== 'stuck' && process.runState === 'prelaunch'
}

function since(before: View, after: Omit<View, 'sinceMs'>, nowMs: number): View {
  return { ...after, sinceMs: before.state === after.state ? before.sinceMs : nowMs }
}
