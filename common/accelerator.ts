// How guests run on this machine: KVM, or QEMU's own translation (TCG). Found out by running a
// guest of one sector: /dev/kvm may open, and every guest on it hang.

import { existsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readIfThere, writeDurably } from './durable-file.ts'
import { codeOf, messageOf } from './errors.ts'
import type { Exec } from './exec.ts'

export interface Accelerator {
  readonly kind: 'kvm' | 'tcg'
  /** For people: what is used, why, and what it costs. */
  readonly sentence: string
}

export interface ProbeOptions {
  /** Keeps the answer until the machine restarts, if the folder exists; else each call probes. */
  readonly runDir?: string
  /** How long the guest may take; 5,000 ms when not given. A host that is emulated needs more. */
  readonly timeoutMs?: number
}

const QEMU = 'qemu-system-x86_64'
const PROBE_MS = 5_000
/** QEMU ends with (value << 1) | 1 when the guest writes to isa-debug-exit. */
const EXIT_VALUE = 0x10
const EXIT_CODE = (EXIT_VALUE << 1) | 1
const EXIT_PORT = 0xf4
/** mov dx,EXIT_PORT; mov al,EXIT_VALUE; out dx,al; hlt; jmp to hlt. */
const BOOT_CODE = [0xba, EXIT_PORT, 0x00, 0xb0, EXIT_VALUE, 0xee, 0xf4, 0xeb, 0xfd]
/** SeaBIOS does not boot from disks that are much smaller. */
const DISK_BYTES = 1 << 20

const COST = 'guests are translated by QEMU (TCG), about ten times slower than on KVM'

/**
 * `kvm` only when a guest has really run on it in time; no failure throws. Takes as long as that
 * where guests hang.
 */
export async function probeAccelerator(
  exec: Exec,
  { runDir, timeoutMs = PROBE_MS }: ProbeOptions = {},
): Promise<Accelerator> {
  if (runDir === undefined || !existsSync(runDir)) {
    const dir = await mkdtemp(join(tmpdir(), 'mallee-probe-'))
    try {
      return await probe(exec, { dir, timeoutMs })
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }
  const file = join(runDir, 'accelerator.json')
  const kept = parse(await readIfThere(file))
  if (kept !== null) return kept
  const found = await probe(exec, { dir: runDir, timeoutMs })
  await writeDurably(file, `${JSON.stringify(found)}\n`)
  return found
}

/** What a probe's file says, or null when it says nothing. */
function parse(text: string | null): Accelerator | null {
  if (text === null) return null
  try {
    const { kind, sentence } = JSON.parse(text) as Partial<Accelerator>
    if ((kind === 'kvm' || kind === 'tcg') && typeof sentence === 'string') {
      return { kind, sentence }
    }
  } catch {
    // Not JSON: the probe is run again.
  }
  return null
}

async function probe(
  exec: Exec,
  { dir, timeoutMs }: { dir: string; timeoutMs: number },
): Promise<Accelerator> {
  const { code } = await exec(['test', '-c', '/dev/kvm'], { okCodes: [0, 1] })
  if (code !== 0) return { kind: 'tcg', sentence: `/dev/kvm is missing: ${COST}` }
  const disk = join(dir, 'accelerator-probe.raw')
  try {
    await writeDisk(disk)
    await exec(probeArgv(disk), { timeoutMs, okCodes: [EXIT_CODE] })
    return { kind: 'kvm', sentence: 'guests run on KVM' }
  } catch (error) {
    const why =
      codeOf(error) === 'CommandTimeout'
        ? `/dev/kvm opens, but a guest on it did nothing for ${timeoutMs / 1000} s`
        : `a guest on /dev/kvm does not run (${lastLine(messageOf(error))})`
    return { kind: 'tcg', sentence: `${why}: ${COST}` }
  } finally {
    await rm(disk, { force: true })
  }
}

function probeArgv(disk: string): string[] {
  return [
    ...[QEMU, '-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '16'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-sandbox', 'on'],
    ...['-drive', `file=${disk},format=raw,if=none,id=disk,readonly=on`],
    ...['-device', 'virtio-blk-pci,drive=disk,bootindex=1'],
    ...['-device', `isa-debug-exit,iobase=${EXIT_PORT},iosize=4`],
  ]
}

async function writeDisk(file: string): Promise<void> {
  const sector = Buffer.alloc(512)
  sector.set(BOOT_CODE)
  sector.writeUInt16BE(0x55aa, 510)
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.write(sector)
    await handle.truncate(DISK_BYTES)
  } finally {
    await handle.close()
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 200) ?? ''
}
