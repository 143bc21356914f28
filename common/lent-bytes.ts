// Buffers that are used again: large pieces from a pool, lent with the bytes in them to whoever
// comes next, and given back by whoever is last. Who never gives one back costs the pool a piece,
// which the garbage collector then takes, and nothing else.

/** Large enough that a call for each costs little, small enough that slow readers may hold some. */
export const PIECE_BYTES = 512 << 10
/** Pieces that wait to be used again: 32 MiB. */
const MAX_FREE = 64

const free: Uint8Array[] = []
/** By the very view that was lent: another view of the same piece gives nothing back. */
const endings = new WeakMap<Uint8Array, () => void>()

/** PIECE_BYTES of whatever was there before; threads may share it. */
export function takePiece(): Uint8Array {
  return free.pop() ?? new Uint8Array(new SharedArrayBuffer(PIECE_BYTES))
}

/** Only for whoever took it, when nobody else has it. */
export function putPiece(piece: Uint8Array): void {
  if (free.length < MAX_FREE) free.push(piece)
}

/** The same view; `ended` is called when it is given back, once at most. */
export function lend(view: Uint8Array, ended: () => void): Uint8Array {
  endings.set(view, ended)
  return view
}

/** Says that nobody will read these bytes again. Does nothing for bytes that were not lent. */
export function giveBack(view: Uint8Array): void {
  const ended = endings.get(view)
  endings.delete(view)
  ended?.()
}

/** Frees bytes at once that nobody else has a view of; the pool of small buffers is left alone. */
export function discardBytes({ buffer, byteLength }: Uint8Array): void {
  const isWhole = byteLength > 0 && byteLength === buffer.byteLength
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
