// One machine: its folder, its QEMU process and the connection to it. Looks and does; what is to be
// done is machine-plan's matter.

import { rm } from 'node:fs/promises'
import type { Clock } from '../../common/clock.ts'
import { isThere } from '../../common/durable-file.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import { beginQemu, machineFiles, startQemu, swapBase } from '../host/qemu.ts'
import { listFileDisks } from '../host/qemu-file-disks.ts'
import { listNics, type PluggedNic, plugNic, unplugNic } from '../host/qemu-nics.ts'
import { listVolumes } from '../host/qemu-volumes.ts'
import { openQmp, type Qmp } from '../host/qmp.ts'
import { instanceDir, type Paths } from '../paths.ts'
import { capLogs } from './console.ts'
import { createMachine } from './machine-creation.ts'
import { baseOf, type DiskParts, kernelOf, lacks, lazyImageOf, noRoom } from './machine-disk.ts'
import {
  type Ended,
  type MachineFile,
  NOT_STARTED,
  readMachineFile,
  writeMachineFile,
} from './machine-file.ts'
import {
  guestPoweredOff,
  isNewStart,
  MAX_START_FAILURES,
  type MachineSeen,
  type MachineStep,
  UNEXPECTED,
} from './machine-plan.ts'
import { killProcess, pidOf, QUIT_MS, waitForEnd } from './machine-process.ts'
import { MachineVolumes, makeEphemeral, plugEphemeral, removeEphemeral } from './machine-volumes.ts'
import type { MachineWanted } from './wanted.ts'

export interface MachineOptions extends DiskParts {
  readonly paths: Paths
  readonly accelerator: 'kvm' | 'tcg'
  /** False on the userspace switch. */
  readonly offloads: boolean
  readonly bootId: string
  readonly clock: Clock
  readonly log: Log
}

export class Machine {
  readonly id: string
  readonly dir: string
  readonly #options: MachineOptions
  readonly #onEnd: (ended: Omit<Ended, 'atMs'>) => void
  readonly volumes: MachineVolumes
  readonly #onChange: () => void
  #qmp: Qmp | null = null
  /** False as long as its guest waits for disks: its end is no guest's. */
  #begun = true
  #pressedAtMs: number | null = null

  /**
   * `onEnd` is called when the guest powers off or QEMU goes, unless we made it go; `onChange` when
   * there is something to do.
   */
  constructor(
    id: string,
    options: MachineOptions,
    onEnd: (ended: Omit<Ended, 'atMs'>) => void,
    onChange: () => void,
  ) {
    // The id becomes a path and a name on a command line.
    if (!/^i-[0-9a-f]{8,17}$/.test(id)) {
      throw new MalleeError('BadMessage', `${id} is no instance id`)
    }
    this.id = id
    this.dir = instanceDir(options.paths, id)
    this.#options = options
    this.#onEnd = onEnd
    this.#onChange = onChange
    this.volumes = new MachineVolumes(options, this)
  }

  async observe(wanted: MachineWanted | null): Promise<MachineSeen> {
    const { bootId, clock } = this.#options
    const process = await this.#look(wanted)
    if (process !== 'none') await capLogs(this.dir)
    const file = await readMachineFile(this.dir)
    return {
      process,
      folder: await isThere(this.dir),
      file,
      lazy: file?.lazy ? await this.#lookAtImage(file) : null,
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
        return createMachine(this.#options, this.dir, must(wanted))
      case 'start':
        return this.#start(must(wanted))
      case 'record-start':
        return this.#record({ startedBootId: bootId, ended: null })
      case 'serve-image':
        return this.#options.lazy.serve(lazyImageOf(await this.#file()))
      case 'swap-image':
        return this.#swapImage(await this.#file())
      case 'reset':
        await this.monitor().command('system_reset')
        return this.#record({ rebootCount: step.rebootCount })
      case 'plug-nic':
        return plugNic(this.monitor(), step.nic, this.#options.offloads)
      case 'unplug-nic':
        return this.#unplug(step.nic)
      case 'record-reboot':
        return this.#record({ rebootCount: step.rebootCount, startedBootId: null })
      case 'plug-volume':
      case 'unplug-volume':
      case 'resize-volume':
      case 'limit-volume':
        return this.volumes.apply(this.monitor(), step)
      case 'plug-ephemeral':
        return plugEphemeral(this.monitor(), this.dir, step.disk)
      case 'begin':
        await beginQemu(this.monitor())
        this.#begun = true
        return this.#record({ startedBootId: bootId })
      case 'resume':
        await this.monitor().command('cont')
        return
      case 'press-power-button':
        await this.monitor().command('system_powerdown')
        this.#pressedAtMs = clock.nowMs()
        return
      case 'record-end':
        await this.#record({ ended: { ...step.ended, atMs: clock.nowMs() } })
        return removeEphemeral(this.dir)
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
      const runState = await qmp.status()
      this.#begun = runState !== 'prelaunch'
      const [nics, volumes] = [await listNics(qmp), await listVolumes(qmp)]
      return { runState, nics, volumes, ephemeral: await listFileDisks(qmp) }
    } catch (error) {
      this.letGo()
      if (codeOf(error) === 'NotFound') return 'none'
      if (codeOf(error) !== 'Unavailable' && codeOf(error) !== 'CommandTimeout') throw error
      const { log } = this.#options
      log.warn('machine does not answer', { instance: this.id, error: messageOf(error) })
      return 'stuck'
    }
  }

  async #lookAtImage({ imageSha256 }: MachineFile): Promise<MachineSeen['lazy']> {
    const { images, lazy } = this.#options
    const whole = await images.isWhole(imageSha256)
    return { served: lazy.isServed(imageSha256), whole }
  }

  async #swapImage(file: MachineFile): Promise<void> {
    const { sha256, format } = lazyImageOf(file)
    await swapBase(this.monitor(), { file: this.#options.images.path(sha256), format })
    return this.#record({ lazy: false })
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
      if (name === 'DEVICE_DELETED') this.#onChange()
    })
    qmp.onClose(() => {
      if (this.#qmp === qmp && this.#begun) this.#onEnd(UNEXPECTED)
    })
    this.#qmp = qmp
  }

  async #start(wanted: MachineWanted): Promise<void> {
    const { exec, clock, accelerator, offloads, bootId } = this.#options
    // Its disk has all of the image that it needs; an interface that is not known yet is not gone.
    const { missingToStart } = wanted
    if (missingToStart.length > 0) throw lacks(this.id, missingToStart)
    const file = await this.#file()
    const { machineType } = file
    const isNew = isNewStart(wanted, file)
    const startFailures = isNew ? 0 : file.startFailures
    // Written first: what comes of it is about this start.
    if (isNew) await this.#record({ ...NOT_STARTED, startCount: wanted.startCount })
    const { id, uuid, vcpus, memoryMib, nics, ephemeral } = wanted
    const waits = wanted.volumes.length > 0 || ephemeral.length > 0
    await makeEphemeral(this.dir, ephemeral, file.ended === null)
    // Until its guest has all its disks it was not started.
    if (waits) await this.#record({ startedBootId: null, ended: null })
    const noRoomForIt = async (error: unknown): Promise<never> => {
      const ended = noRoom(error)
      if (ended !== null) await this.#record({ ended: { ...ended, atMs: clock.nowMs() } })
      throw error
    }
    const kernel = await kernelOf(this.#options, wanted.kernel).catch(noRoomForIt)
    const base = await baseOf(this.#options, file).catch(noRoomForIt)
    // Written first: a QEMU that reads through us must be found again.
    if (base !== null || file.lazy) await this.#record({ lazy: base !== null })
    const hasDisk = file.imageSha256 !== ''
    const host = { machineType, accelerator, offloads, hasDisk, base, kernel, waits }
    const machine = { id, uuid, vcpus, memoryMib, nics, ...host }
    try {
      this.#watch(await startQemu({ exec, clock }, machine, this.dir))
    } catch (error) {
      await this.#failedToStart(startFailures + 1, error)
      throw error
    }
    this.#pressedAtMs = null
    this.#begun = !waits
    const startedBootId = waits ? null : bootId
    await this.#record({ startedBootId, startFailures: 0, ended: null })
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
    await waitForEnd(this.#options, this.dir)
  }

  async #kill(): Promise<void> {
    const { exec } = this.#options
    const pid = await pidOf(exec, this.dir)
    if (pid !== null) await killProcess(exec, pid)
    await waitForEnd(this.#options, this.dir)
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

function must(wanted: MachineWanted | null): MachineWanted {
  if (wanted === null) throw new RangeError('the plan starts a machine that nobody wants')
  return wanted
}
