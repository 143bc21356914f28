// The way out of a terminal whose every key goes to somebody else: `~.` at the beginning of a line,
// as in ssh. Bytes, not characters: keys come as they come.

const TILDE = '~'.charCodeAt(0)
const DOT = '.'.charCodeAt(0)
const LINE_ENDS = new Set(['\r', '\n'].map((end) => end.charCodeAt(0)))

export interface Keys {
  /** What goes on to the other side. */
  readonly send: Buffer
  /** The user wants to leave; what came after that is dropped. */
  readonly leaves: boolean
}

/** Looks at what is typed, piece by piece. `~~` is one tilde. */
export function escapeReader(): (typed: Uint8Array) => Keys {
  let at: 'begin' | 'inside' | 'tilde' = 'begin'
  return (typed) => {
    const send: number[] = []
    for (const byte of typed) {
      if (at === 'tilde') {
        if (byte === DOT) return { send: Buffer.from(send), leaves: true }
        // Not for us: the tilde that was kept back goes first.
        if (byte !== TILDE) send.push(TILDE)
      } else if (at === 'begin' && byte === TILDE) {
        at = 'tilde'
        continue
      }
      send.push(byte)
      at = LINE_ENDS.has(byte) ? 'begin' : 'inside'
    }
    return { send: Buffer.from(send), leaves: false }
  }
}
