// A machine that never runs and has volumes as a guest's: QEMU's own blocks, plugged by the code of
// the host of instances, and read and written by QEMU itself.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  knock,
  listVolumes,
  plugVolume,
  type QemuVolume,
} from '../../cluster-agent/host/qemu-volumes.ts'
import { openQmp, type Qmp } from '../../cluster-agent/host/qmp.ts'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'

const SLOTS = 16
const ANSWER_MS = 30_000

export class Guest {
  readonly qmp: Qmp
  readonly #child: ChildProcess
  readonly #dir: string
  #said = ''

  private constructor(child: ChildProcess, qmp: Qmp, dir: string) {
    this.#child = child
    this.qmp = qmp
    this.#dir = dir
    child.stdout?.on('data', (text) => (this.#said += String(text)))
    child.stderr?.on('data', (text) => (this.#said += String(text)))
  }

  static async start(dir: string, name: string): Promise<Guest> {
    const socket = join(dir, `${name}.qmp`)
    const ports = Array.from({ length: SLOTS }, (_, i) => [
      ...['-device', `pcie-root-port,id=slot${i + 1},chassis=${i + 1}`],
    ]).flat()
    const child = spawn(
      'qemu-system-x86_64',
      [
        ...['-machine', 'q35,accel=tcg', '-m', '64', '-S', '-display', 'none', '-nodefaults'],
        ...['-qmp', `unix:${socket},server=on,wait=off`, ...ports],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] ?? '' } },
    )
    const found: Qmp[] = []
    await until(
      'QEMU answers',
      async () =>
        found.push(
          ...(await openQmp(socket).then(
            (qmp) => [qmp],
            () => [],
          )),
        ) > 0,
      { timeoutMs: ANSWER_MS, everyMs: 50 },
    )
    const [qmp] = found
    if (qmp === undefined) throw new Error('QEMU does not answer')
    return new Guest(child, qmp, dir)
  }

  async plug(volume: QemuVolume): Promise<void> {
    await knock(exec, volume, this.#dir)
    await plugVolume(this.qmp, volume)
  }

  /** What qemu-io(1) says of a command at the end of the volume that the guest sees. */
  async io(volume: QemuVolume, command: string): Promise<string> {
    this.#said = ''
    const { volumeId, generation, attachment } = volume
    const device = `v${volumeId.slice(4)}.${generation}.${attachment}/virtio-backend`
    const line = `qemu-io -d ${device} "${command}"`
    const args = { 'command-line': line }
    const answer = await this.qmp.command('human-monitor-command', args, ANSWER_MS)
    await until('QEMU has said it', async () => this.#said !== '' || answer !== '', {
      timeoutMs: ANSWER_MS,
      everyMs: 20,
    })
    return `${this.#said}${answer}`
  }

  async volumes(): Promise<string[]> {
    return (await listVolumes(this.qmp)).map(
      ({ volumeId, generation, sizeBytes }) => `${volumeId}/${generation} ${sizeBytes}`,
    )
  }

  async stop(): Promise<void> {
    this.qmp.close()
    if (this.#child.exitCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}
