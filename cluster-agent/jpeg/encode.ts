// Pictures as baseline JPEG files (ITU-T T.81, JFIF 1.02), in full colour resolution: text on a
// screen stays legible. Small and plain, for a screenshot now and then.

import { BRIGHTNESS_STEPS, COLOUR_STEPS, type CodeTable, DETAILS, MEANS, ZIGZAG } from './tables.ts'

export interface Picture {
  readonly width: number
  readonly height: number
  /** Red, green, blue of each pixel, row by row. */
  readonly rgb: Uint8Array
}

interface Code {
  readonly bits: number
  readonly length: number
}

const QUALITY = 80
const MAX_SIDE = 65_535
/** COSINES[8 * k + n] of the transform of eight values (A.3.3). */
const COSINES = Float64Array.from({ length: 64 }, (_, at) => {
  const [k, n] = [at >> 3, at & 7]
  return (k === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * n + 1) * k * Math.PI) / 16)
})
const FLAT: readonly number[] = Array.from({ length: 63 }, () => 0)
/** Weights of red, green, blue, and what is added (JFIF 1.02; less 128 as A.3.1 wants it). */
const COMPONENTS = [
  { weights: [0.299, 0.587, 0.114], offset: -128 },
  { weights: [-0.168736, -0.331264, 0.5], offset: 0 },
  { weights: [0.5, -0.418688, -0.081312], offset: 0 },
] as const

/** Throws RangeError for a picture without pixels or with too many. */
export function encodeJpeg(picture: Picture): Uint8Array {
  const { width, height, rgb } = picture
  const fits = (side: number) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE
  if (!fits(width) || !fits(height) || rgb.length < width * height * 3) {
    throw new RangeError(`${rgb.length} bytes are no picture of ${width} by ${height}`)
  }
  const steps = [BRIGHTNESS_STEPS, COLOUR_STEPS].map(scaled)
  const bits = new BitWriter()
  const means = [0, 0, 0]
  const [meanCodes, detailCodes] = [codesOf(MEANS), codesOf(DETAILS)]
  for (let top = 0; top < height; top += 8) {
    for (let left = 0; left < width; left += 8) {
      for (const [i, component] of COMPONENTS.entries()) {
        const table = steps[i === 0 ? 0 : 1] ?? []
        const block = coefficients(blockAt(picture, left, top, component), table)
        writeBlock(bits, block, means[i] ?? 0, meanCodes, detailCodes)
        means[i] = block[0] ?? 0
      }
    }
  }
  return Buffer.concat([header(width, height, steps), bits.end(), Buffer.from([0xff, 0xd9])])
}

/** Coarser or finer steps than the tables', as the Independent JPEG Group's library has it. */
function scaled(table: readonly number[]): number[] {
  const percent = 200 - QUALITY * 2
  return table.map((step) => Math.min(255, Math.max(1, Math.floor((step * percent + 50) / 100))))
}

/** Beyond the edges the last pixel goes on. */
function blockAt(
  { width, height, rgb }: Picture,
  left: number,
  top: number,
  { weights: [red, green, blue], offset }: (typeof COMPONENTS)[number],
): Float64Array {
  const block = new Float64Array(64)
  for (let at = 0; at < 64; at += 1) {
    const y = Math.min(height - 1, top + (at >> 3))
    const x = Math.min(width - 1, left + (at & 7))
    const pixel = (y * width + x) * 3
    const [r = 0, g = 0, b = 0] = [rgb[pixel], rgb[pixel + 1], rgb[pixel + 2]]
    block[at] = red * r + green * g + blue * b + offset
  }
  return block
}

/** The quantized cosine transform, of rows and then of columns, in the file's order. */
function coefficients(block: Float64Array, steps: readonly number[]): number[] {
  // Most of a screen is one colour.
  const [first = 0] = block
  if (block.every((value) => value === first)) return [rounded(first * 8, steps[0]), ...FLAT]
  const sums = turnedSums(turnedSums(block))
  return ZIGZAG.map((at) => rounded(sums[at] ?? 0, steps[at]))
}

function rounded(value: number, step = 1): number {
  return Math.round(value / step)
}

/** Every row transformed, as a column: twice that is both ways and upright again. */
function turnedSums(block: Float64Array): Float64Array {
  const out = new Float64Array(64)
  for (let row = 0; row < 8; row += 1) {
    for (let k = 0; k < 8; k += 1) {
      let sum = 0
      for (let n = 0; n < 8; n += 1) sum += (block[row * 8 + n] ?? 0) * (COSINES[k * 8 + n] ?? 0)
      out[k * 8 + row] = sum
    }
  }
  return out
}

function writeBlock(
  bits: BitWriter,
  block: readonly number[],
  before: number,
  meanCodes: readonly Code[],
  detailCodes: readonly Code[],
): void {
  const difference = (block[0] ?? 0) - before
  bits.code(meanCodes[sizeOf(difference)])
  bits.amount(difference)
  const last = block.findLastIndex((value) => value !== 0)
  let zeros = 0
  for (const value of block.slice(1, last + 1)) {
    if (value === 0) {
      zeros += 1
      continue
    }
    for (; zeros > 15; zeros -= 16) bits.code(detailCodes[0xf0])
    bits.code(detailCodes[zeros * 16 + sizeOf(value)])
    bits.amount(value)
    zeros = 0
  }
  if (last < 63) bits.code(detailCodes[0])
}

/** How many bits an amount takes. */
function sizeOf(value: number): number {
  return value === 0 ? 0 : 32 - Math.clz32(Math.abs(value))
}

/** Codes by what they stand for (C.2). */
function codesOf({ counts, values }: CodeTable): Code[] {
  const codes: Code[] = []
  let bits = 0
  let at = 0
  for (const [i, count] of counts.entries()) {
    for (let n = 0; n < count; n += 1) {
      codes[values[at] ?? 0] = { bits, length: i + 1 }
      bits += 1
      at += 1
    }
    bits *= 2
  }
  return codes
}

class BitWriter {
  readonly #bytes: number[] = []
  #bits = 0
  #count = 0

  code(code: Code | undefined): void {
    if (code === undefined) throw new RangeError('the table has no such code')
    this.#put(code.bits, code.length)
  }

  /** Negative ones are one less, without the leading bits (F.1.2.1). */
  amount(value: number): void {
    const size = sizeOf(value)
    this.#put(value < 0 ? value + (1 << size) - 1 : value, size)
  }

  /** Filled up with ones. */
  end(): Buffer {
    if (this.#count > 0) this.#put((1 << (8 - this.#count)) - 1, 8 - this.#count)
    return Buffer.from(this.#bytes)
  }

  #put(bits: number, length: number): void {
    this.#bits = (this.#bits << length) | bits
    this.#count += length
    while (this.#count >= 8) {
      this.#count -= 8
      const byte = (this.#bits >> this.#count) & 0xff
      this.#bytes.push(byte)
      // A byte of ones would begin a marker.
      if (byte === 0xff) this.#bytes.push(0)
    }
    this.#bits &= (1 << this.#count) - 1
  }
}

function header(width: number, height: number, steps: readonly (readonly number[])[]): Buffer {
  const word = (n: number) => [n >> 8, n & 0xff]
  const segment = (marker: number, data: readonly number[]) => [
    ...[0xff, marker],
    ...word(data.length + 2),
    ...data,
  ]
  const jfif = [...Buffer.from('JFIF\0'), 1, 2, 0, ...word(1), ...word(1), 0, 0]
  const tables = steps.flatMap((table, i) => [i, ...ZIGZAG.map((at) => table[at] ?? 1)])
  const components = [1, 2, 3].flatMap((id) => [id, 0x11, id === 1 ? 0 : 1])
  const codes = ({ counts, values }: CodeTable) => [...counts, ...values]
  return Buffer.from([
    ...[0xff, 0xd8],
    ...segment(0xe0, jfif),
    ...segment(0xdb, tables),
    ...segment(0xc0, [8, ...word(height), ...word(width), 3, ...components]),
    ...segment(0xc4, [0x00, ...codes(MEANS), 0x10, ...codes(DETAILS)]),
    ...segment(0xda, [3, ...[1, 2, 3].flatMap((id) => [id, 0x00]), 0, 63, 0]),
  ])
}
