// Which blocks of a volume are here, a bit each, in two files. One says what is on the disk: after
// a power cut a block may be here that it does not say, never the other way. The other one is in
// memory (a tmpfs) and says it of all that an agent has taken in: after the kill of an agent what a
// guest has written since is known by it.

import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../../../common/durable-file.ts'

export interface MarkFiles {
  /** Survives a power cut. */
  readonly durable: string
  /** Of this boot: another boot's is not believed. */
  readonly fleeting: string
  /** Tells boots apart; 36 characters. */
  readonly bootId: string
}

/** Bytes of the bits. */
interface Part {
  readonly from: number
  readonly to: number
}

const BOOT_ID_BYTES = 36

export class Marks {
  readonly count: number
  readonly #bits: Buffer
  readonly #durable: FileHandle
  readonly #fleeting: FileHandle
  #missing = 0
  #setting: Promise<void> = Promise.resolve()
  #keeping: Promise<void> = Promise.resolve()
  /** Bytes of the bits that the durable file does not have. */
  #dirty: Part | null

  private constructor(
    count: number,
    bits: Buffer,
    handles: { readonly durable: FileHandle; readonly fleeting: FileHandle },
  ) {
    this.count = count
    this.#bits = bits
    this.#durable = handles.durable
    this.#fleeting = handles.fleeting
    this.#dirty = { from: 0, to: bits.length }
    for (let block = 0; block < count; block++) if (!this.has(block)) this.#missing += 1
  }

  /** Goes on with what is there; nothing is here when nothing is. */
  static async open(files: MarkFiles, count: number): Promise<Marks> {
    const bits = Buffer.alloc(Math.ceil(count / 8))
    const known = await readFile(files.durable).catch(() => Buffer.alloc(0))
    const recent = await readFile(files.fleeting).catch(() => Buffer.alloc(0))
    merge(bits, known)
    const isOfNow = recent.toString('latin1', 0, BOOT_ID_BYTES) === files.bootId
    if (isOfNow) merge(bits, recent.subarray(BOOT_ID_BYTES))
    const durable = await opened(files.durable)
    try {
      await syncFolder(dirname(files.durable))
      // Never half of it: what it said may be nowhere else.
      const draft = `${files.fleeting}.new`
      await writeFile(draft, Buffer.concat([Buffer.from(files.bootId, 'latin1'), bits]))
      await rename(draft, files.fleeting)
      const fleeting = await opened(files.fleeting)
      return new Marks(count, bits, { durable, fleeting })
    } catch (error) {
      await durable.close()
      throw error
    }
  }

  get missing(): number {
    return this.#missing
  }

  has(block: number): boolean {
    return ((this.#bits[block >> 3] ?? 0) & (1 << (block & 7))) !== 0
  }

  /** Blocks, ascending, whose bytes are in the file. Afterwards that survives this agent. */
  set(blocks: readonly number[]): Promise<void> {
    const run = async (): Promise<void> => {
      const fresh = blocks.filter((block) => block < this.count && !this.has(block))
      const [first, last] = [fresh[0], fresh.at(-1)]
      if (first === undefined || last === undefined) return
      const [from, to] = [first >> 3, (last >> 3) + 1]
      const bits = Buffer.from(this.#bits.subarray(from, to))
      for (const block of fresh) {
        const at = (block >> 3) - from
        bits[at] = (bits[at] ?? 0) | (1 << (block & 7))
      }
      await this.#fleeting.write(bits, 0, bits.length, BOOT_ID_BYTES + from)
      this.#bits.set(bits, from)
      this.#missing -= fresh.length
      this.#dirty = joined({ from, to }, this.#dirty)
    }
    this.#setting = this.#setting.then(run, run)
    return this.#setting
  }

  /** `sync` brings what was taken in until now to the disk; then that is written down there. */
  keep(sync: () => Promise<void>): Promise<void> {
    const run = async (): Promise<void> => {
      const dirty = this.#dirty
      const bits = dirty === null ? null : Buffer.from(this.#bits.subarray(dirty.from, dirty.to))
      this.#dirty = null
      try {
        await sync()
        if (dirty === null || bits === null) return
        await this.#durable.write(bits, 0, bits.length, dirty.from)
        await this.#durable.datasync()
      } catch (error) {
        if (dirty !== null) this.#dirty = joined(dirty, this.#dirty)
        throw error
      }
    }
    this.#keeping = this.#keeping.then(run, run)
    return this.#keeping
  }

  /** Those that are missing, as ranges. */
  ranges(): { readonly from: number; readonly to: number }[] {
    const ranges: { from: number; to: number }[] = []
    for (let block = 0; block < this.count; block++) {
      if (this.has(block)) continue
      const last = ranges.at(-1)
      if (last !== undefined && last.to === block) last.to = block + 1
      else ranges.push({ from: block, to: block + 1 })
    }
    return ranges
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#setting, this.#keeping])
    await this.#durable.close()
    await this.#fleeting.close()
  }
}

/** Nothing is here any more. */
export async function removeMarks({ durable, fleeting }: MarkFiles): Promise<void> {
  for (const file of [durable, fleeting]) await rm(file, { force: true })
}

function joined(a: Part, b: Part | null): Part {
  if (b === null) return a
  return { from: Math.min(a.from, b.from), to: Math.max(a.to, b.to) }
}

async function opened(file: string): Promise<FileHandle> {
  // Made when there is none, and not emptied.
  await (await open(file, 'a', 0o600)).close()
  return await open(file, 'r+')
}

function merge(bits: Buffer, others: Buffer): void {
  for (let at = 0; at < Math.min(bits.length, others.length); at++) {
    bits[at] = (bits[at] ?? 0) | (others[at] ?? 0)
  }
}
