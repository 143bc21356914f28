// One machine: its folder, its QEMU process and the connection to it. Looks and does; what is to be
// done is machine-plan's matter.

import { mkdir, readFile, rm } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { isThere } from '../../common/durable-file.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { machineFiles, newestMachineType, startQemu } from '../host/qemu.ts'
import { createOverlay } from '../host/qemu-img.ts'
import { listNics, type PluggedNic, plugNic, unplugNic } from '../host/qemu-nics.ts'
import { openQmp, type Qmp } from '../host/qmp.ts'
import type { Images } from '../images/images.ts'
import { instanceDir, type Paths } from '../paths.ts'
import { capLogs } from './console.ts'
import { type Ended, type MachineFile, readMachineFile, writeMachineFile } from './machine-file.ts'
import {
  guestPoweredOff,
  isNewStart,
  MAX_START_FAILURES,
  type MachineSeen,
  type MachineStep,
  UNEXPECTED,
} from './machine-plan.ts'
import type { MachineWanted } from './wanted.ts'

export interface MachineOptions {
  readonly exec: Exec
  readonly paths: Paths
  readonly accelerator: 'kvm' | 'tcg'
  /** False on the userspace switch. */
  readonly offloads: boolean
  readonly images: Images
  readonly bootId: string
  readonly clock: Clock
  readonly log: Log
}

const NOT_STARTED = { startedBootId: null, startFailures: 0, ended: null } as const
const QUIT_MS = 10_000
const POLL_MS = 50

export class Machine {
  readonly id: string
  readonly dir: string
  readonly #options: MachineOptions
  readonly #onEnd: (ended: Omit<Ended, 'atMs'>) => void
  #qmp: Qmp | null = null
  #pressedAtMs: number | null = null

  /** `onEnd` is called when the guest powers off or QEMU goes, unless we made it go. */
  constructor(id: string, options: MachineOptions, onEnd: (ended: Omit<Ended, 'atMs'>) => void) {
    // The id becomes a path and a name on a command line.
    if (!/^i-[0-9a-f]{8,17}$/.test(id)) {
      throw new MalleeError('BadMessage', `${id} is no instance id`)
    }
    this.id = id
    this.dir = instanceDir(options.paths, id)
    this.#options = options
    this.#onEnd = onEnd
  }

  async observe(wanted: MachineWanted | null): Promise<MachineSeen> {
    const { bootId, clock } = this.#options
    const process = await this.#look(wanted)
    if (process !== 'none') await capLogs(this.dir)
    return {
      process,
      folder: await isThere(this.dir),
      file: await readMachineFile(this.dir),
      bootId,
      pressedAtMs: this.#pressedAtMs,
      nowMs: clock.nowMs(),
    }
  }

  async apply(wanted: MachineWanted | null, step: MachineStep): Promise<void> {
    const { bootId, clock, log } = this.#options
    log.info('machine step', { instance: this.id, step: step.kind })
    switch (step.kind) {
      case 'create':
        return this.#create(must(wanted))
      case 'start':
        return this.#start(must(wanted))
      case 'record-start':
        return this.#record({ startedBootId: bootId, ended: null })
      case 'reset':
        await this.monitor().command('system_reset')
        return this.#record({ rebootCount: step.rebootCount })
      case 'plug-nic':
        return plugNic(this.monitor(), step.nic, this.#options.offloads)
      case 'unplug-nic':
        return this.#unplug(step.nic)
      case 'resume':
        await this.monitor().command('cont')
        return
      case 'press-power-button':
        await this.monitor().command('system_powerdown')
        this.#pressedAtMs = clock.nowMs()
        return
      case 'record-end':
        return this.#record({ ended: { ...step.ended, atMs: clock.nowMs() } })
      case 'quit':
        return this.#quit()
      case 'kill':
        return this.#kill()
      case 'remove':
        await rm(this.dir, { recursive: true, force: true })
    }
  }

  /** Hangs up; the machine goes on. */
  letGo(): void {
    this.#qmp?.close()
    this.#qmp = null
  }

  async #look(wanted: MachineWanted | null): Promise<MachineSeen['process']> {
    try {
      if (this.#qmp === null || this.#qmp.closed) await this.#connect(wanted)
      const qmp = this.monitor()
      return { runState: await qmp.status(), nics: await listNics(qmp) }
    } catch (error) {
      this.letGo()
      if (codeOf(error) === 'NotFound') return 'none'
      if (codeOf(error) !== 'Unavailable' && codeOf(error) !== 'CommandTimeout') throw error
      const { log } = this.#options
      log.warn('machine does not answer', { instance: this.id, error: messageOf(error) })
      return 'stuck'
    }
  }

  async #connect(wanted: MachineWanted | null): Promise<void> {
    const qmp = await openQmp(machineFiles(this.dir).qmp)
    const uuid = await qmp.uuid()
    if (wanted !== null && uuid !== wanted.uuid.toLowerCase()) {
      qmp.close()
      throw new MalleeError('Conflict', `the machine in ${this.dir} has the UUID ${uuid}`)
    }
    this.#watch(qmp)
  }

  #watch(qmp: Qmp): void {
    qmp.onEvent(({ name, data }) => {
      if (name === 'SHUTDOWN' && data['guest'] === true) this.#onEnd(guestPoweredOff())
    })
    qmp.onClose(() => {
      if (this.#qmp === qmp) this.#onEnd(UNEXPECTED)
    })
    this.#qmp = qmp
  }

  async #create(wanted: MachineWanted): Promise<void> {
    const { exec, images } = this.#options
    const { image, missing } = wanted
    if (image === null || missing.length > 0) {
      throw lacks(this.id, missing)
    }
    const base = await images.whole(image.sha256, image.listSha256)
    await mkdir(this.dir, { recursive: true, mode: 0o700 })
    const file = machineFiles(this.dir).disk
    await rm(file, { force: true })
    await createOverlay(exec, { file, base, format: image.format, diskGib: wanted.diskGib })
    // Last: without it the folder is unfinished, and all of this is done again.
    await writeMachineFile(this.dir, {
      version: 1,
      imageSha256: image.sha256,
      machineType: await newestMachineType(exec),
      rebootCount: wanted.rebootCount,
      startCount: wanted.startCount,
      ...NOT_STARTED,
    })
  }

  async #start(wanted: MachineWanted): Promise<void> {
    const { exec, clock, accelerator, offloads, bootId } = this.#options
    // Its disk has all of the image that it needs; an interface that is not known yet is not gone.
    const missing = wanted.missing.filter((key) => !key.startsWith('image/'))
    if (missing.length > 0) throw lacks(this.id, missing)
    const file = await this.#file()
    const { machineType } = file
    const isNew = isNewStart(wanted, file)
    const startFailures = isNew ? 0 : file.startFailures
    // Written first: what comes of it is about this start.
    if (isNew) await this.#record({ ...NOT_STARTED, startCount: wanted.startCount })
    const { id, uuid, vcpus, memoryMib, nics } = wanted
    const machine = { id, uuid, machineType, accelerator, vcpus, memoryMib, nics, offloads }
    try {
      this.#watch(await startQemu({ exec, clock }, machine, this.dir))
    } catch (error) {
      await this.#failedToStart(startFailures + 1, error)
      throw error
    }
    this.#pressedAtMs = null
    await this.#record({ startedBootId: bootId, startFailures: 0, ended: null })
  }

  async #failedToStart(startFailures: number, error: unknown): Promise<void> {
    if (startFailures < MAX_START_FAILURES) return this.#record({ startFailures })
    this.#options.log.error('machine given up', { instance: this.id, error })
    const message = 'The virtual machine of the instance does not start'
    const atMs = this.#options.clock.nowMs()
    const ended = { by: 'failure', code: 'Server.InternalError', message, atMs } as const
    await this.#record({ startFailures, ended })
  }

  // A guest that boots answers later: the next pass asks again.
  async #unplug(nic: PluggedNic): Promise<void> {
    if (await unplugNic(this.monitor(), nic)) return
    this.#options.log.warn('guest keeps an interface', { instance: this.id, mac: nic.mac })
  }

  async #quit(): Promise<void> {
    const qmp = this.monitor()
    // Forgotten first: this end is no surprise.
    this.#qmp = null
    // QEMU hangs up instead of answering, or answers and hangs up.
    await qmp.command('quit', {}, QUIT_MS).catch(() => undefined)
    qmp.close()
    await this.#waitForEnd()
  }

  async #kill(): Promise<void> {
    const pid = await this.#pid()
    if (pid !== null) await this.#options.exec(['kill', '-KILL', pid], { okCodes: [0, 1] })
    await this.#waitForEnd()
  }

  /** Until its process is gone, or is shown to be stuck and killed. */
  async #waitForEnd(): Promise<void> {
    const { clock, exec } = this.#options
    const deadline = clock.nowMs() + QUIT_MS
    for (let pid = await this.#pid(); pid !== null; pid = await this.#pid()) {
      if (clock.nowMs() > deadline) await exec(['kill', '-KILL', pid], { okCodes: [0, 1] })
      if (clock.nowMs() > deadline + QUIT_MS) {
        throw new MalleeError('Unavailable', `the process ${pid} of ${this.id} does not end`)
      }
      await clock.sleep(POLL_MS)
    }
  }

  /** The pid of this machine's QEMU as long as it runs; another program's is never taken for it. */
  async #pid(): Promise<string | null> {
    const text = await readFile(machineFiles(this.dir).pid, 'utf8').catch(() => '')
    const pid = text.trim()
    if (!/^\d+$/.test(pid)) return null
    const options = { okCodes: [0, 1] }
    const { code, stdout } = await this.#options.exec(['cat', `/proc/${pid}/cmdline`], options)
    return code === 0 && stdout.includes(machineFiles(this.dir).qmp) ? pid : null
  }

  async #file(): Promise<MachineFile> {
    const file = await readMachineFile(this.dir)
    if (file === null) throw new MalleeError('NotFound', `${this.dir} has no machine.json`)
    return file
  }

  async #record(change: Partial<MachineFile>): Promise<void> {
    await writeMachineFile(this.dir, { ...(await this.#file()), ...change })
  }

  /** Throws Unavailable while there is no connection. */
  monitor(): Qmp {
    if (this.#qmp === null) throw new MalleeError('Unavailable', `${this.id} has no connection`)
    return this.#qmp
  }
}

function lacks(id: string, missing: readonly string[]): MalleeError {
  return new MalleeError('NotFound', `${id} needs ${missing.join(', ')}`)
}

function must(wanted: MachineWanted | null): MachineWanted {
  if (wanted === null) throw new RangeError('the plan starts a machine that nobody wants')
  return wanted
}
