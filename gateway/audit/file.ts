// The file of the audit log: lines at its end, another file when it is full, only so many files.
// Owns `audit.jsonl` and `audit.jsonl.1`, `.2`, ... in its folder; one process writes there.

import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Log } from '../../common/log.ts'
import type { Metrics } from '../metrics.ts'

export interface AuditFileParts {
  readonly path: string
  /** In bytes: what would grow beyond it goes to a new file. */
  readonly maxBytes: number
  /** Files that are kept, with the one that is written to; at least 1. */
  readonly files: number
  readonly log: Log
  readonly metrics: Pick<Metrics, 'auditRecords'>
}

const NEWLINE = 0x0a
const PRIVATE = 0o600

/**
 * Its folder must exist; the file is opened by the first write and again after a failed one. A
 * write is with the kernel when it resolves: it outlives this process, not a power cut.
 */
export class AuditFile {
  readonly #parts: AuditFileParts
  #handle: FileHandle | null = null
  #size = 0
  /** Lost since the last that was written. */
  #lost = 0
  #waiting: string[] = []
  /** The write that has not begun and takes what waits. */
  #next: Promise<void> | null = null
  #last: Promise<void> = Promise.resolve()

  constructor(parts: AuditFileParts) {
    this.#parts = parts
  }

  /** Resolves when the record is written or lost, which is logged and counted; never rejects. */
  write(record: object): Promise<void> {
    this.#waiting.push(`${JSON.stringify(record)}\n`)
    this.#next ??= this.#last.then(() => {
      this.#next = null
      return this.#append(this.#waiting.splice(0))
    })
    this.#last = this.#next
    return this.#next
  }

  /** Ends what was begun; the next write would open the file again. */
  async close(): Promise<void> {
    await this.#last
    try {
      await this.#handle?.datasync()
    } catch (error) {
      this.#parts.log.error('audit log', { path: this.#parts.path, error })
    }
    await this.#drop()
  }

  async #append(lines: readonly string[]): Promise<void> {
    const { path, log, metrics, maxBytes } = this.#parts
    const data = Buffer.from(lines.join(''))
    try {
      let handle = this.#handle ?? (await this.#open())
      if (this.#size > 0 && this.#size + data.length > maxBytes) handle = await this.#rotate(handle)
      await handle.appendFile(data)
      this.#size += data.length
      metrics.auditRecords('written', lines.length)
      if (this.#lost > 0) log.warn('audit log is written again', { path, lost: this.#lost })
      this.#lost = 0
    } catch (error) {
      metrics.auditRecords('lost', lines.length)
      // Once until it works again: a full disk must not be filled with this.
      if (this.#lost === 0) log.error('audit records are lost', { path, error })
      this.#lost += lines.length
      await this.#drop()
    }
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#parts.path, 'a+', PRIVATE)
    try {
      await handle.chmod(PRIVATE)
      const { size } = await handle.stat()
      const tail = Buffer.alloc(1)
      if (size > 0) await handle.read(tail, 0, 1, size - 1)
      // Half a line, of a crash or a full disk, must not spoil the next one too.
      const isTorn = size > 0 && tail[0] !== NEWLINE
      if (isTorn) await handle.appendFile('\n')
      this.#size = size + (isTorn ? 1 : 0)
      this.#handle = handle
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The handle to go on with: the same one when the files cannot be moved. */
  async #rotate(handle: FileHandle): Promise<FileHandle> {
    const { path, files, log } = this.#parts
    try {
      await handle.datasync()
      const numbers = await this.#numbers()
      for (const number of numbers) {
        const isKept = number + 1 < files
        if (isKept) await rename(`${path}.${number}`, `${path}.${number + 1}`)
        else await rm(`${path}.${number}`, { force: true })
      }
      if (files > 1) await rename(path, `${path}.1`)
      else await rm(path)
    } catch (error) {
      log.error('audit log cannot be rotated', { path, error })
      return handle
    }
    await this.#drop()
    return await this.#open()
  }

  /** Of the full files that are there, the oldest (highest) first. */
  async #numbers(): Promise<number[]> {
    const { path } = this.#parts
    const prefix = `${basename(path)}.`
    return (await readdir(dirname(path)))
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length))
      .filter((rest) => /^[1-9]\d{0,5}$/.test(rest))
      .map(Number)
      .sort((a, b) => b - a)
  }

  async #drop(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    try {
      await handle?.close()
    } catch (error) {
      this.#parts.log.error('audit log', { path: this.#parts.path, error })
    }
  }
}
