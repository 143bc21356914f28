// Takes as many bytes as are wanted from a stream of pieces of any size.

import { MalleeError } from '../../common/errors.ts'

export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array()

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#source = stream[Symbol.asyncIterator]()
  }

  /** Exactly so many, in memory. Throws BadArgument when the stream ends before. */
  async take(count: number): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for await (const bytes of this.bytes(count)) pieces.push(bytes)
    return Buffer.concat(pieces)
  }

  /** Exactly so many, as they come. Throws BadArgument when the stream ends before. */
  async *bytes(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0; ) {
      if (this.#piece.length === 0 && !(await this.#next())) {
        throw new MalleeError('BadArgument', `the bundle is cut short, ${left} bytes are missing`)
      }
      const bytes = this.#piece.subarray(0, left)
      this.#piece = this.#piece.subarray(bytes.length)
      left -= bytes.length
      yield bytes
    }
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    do {
      if (this.#piece.length > 0) yield this.#piece
    } while (await this.#next())
  }

  /** Ends the stream, whether it was read to its end or not. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #next(): Promise<boolean> {
    const next = await this.#source.next()
    this.#piece = next.done === true ? new Uint8Array() : next.value
    return next.done !== true
  }
}
