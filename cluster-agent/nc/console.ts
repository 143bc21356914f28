// Guests' serial consoles: QEMU appends to console.log, we keep it short and read its end.

import { open, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import { machineFiles } from '../host/qemu.ts'
import { instanceDir, type Paths } from '../paths.ts'

/** Beyond it the log is cut; a guest may write for ever. */
export const MAX_LOG_BYTES = 1 << 20
/** What stays of a log that was cut. EC2 shows the last 64 KiB. */
const KEPT_BYTES = 256 << 10

/**
 * The last bytes that the guest wrote to its console, at most `maxBytes` and a quarter of a MiB.
 * Throws NotFound for an instance that is not on this host.
 */
export async function consoleOutput(
  paths: Paths,
  id: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const dir = instanceDir(paths, id)
  const limit = Math.min(maxBytes, KEPT_BYTES)
  const recent = await tail(machineFiles(dir).consoleLog, limit)
  if (recent === null) throw new MalleeError('NotFound', `${id} has no console on this host`)
  if (recent.length === limit) return recent
  const older = (await tail(olderLog(dir), limit - recent.length)) ?? Buffer.alloc(0)
  return Buffer.concat([older, recent])
}

/** Cuts logs that have grown too long; the console's end is kept. QEMU appends and goes on. */
export async function capLogs(dir: string, maxBytes = MAX_LOG_BYTES): Promise<void> {
  const { consoleLog: log, log: ownLog } = machineFiles(dir)
  if ((await sizeOf(ownLog)) > maxBytes) await truncate(ownLog, 0)
  if ((await sizeOf(log)) <= maxBytes) return
  await writeDurably(olderLog(dir), (await tail(log, KEPT_BYTES)) ?? '')
  // What the guest writes between these two is lost: the price of a log without a reader.
  await truncate(log, 0)
}

function olderLog(dir: string): string {
  return join(dir, 'console.old')
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch {
    return 0
  }
}

async function tail(file: string, bytes: number): Promise<Buffer | null> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (handle === null) return null
  try {
    const { size } = await handle.stat()
    const length = Math.min(size, Math.max(0, bytes))
    const buffer = Buffer.alloc(length)
    const { bytesRead } = await handle.read(buffer, 0, length, size - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}
