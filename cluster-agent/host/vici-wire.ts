// VICI's packets (strongSwan, src/libcharon/plugins/vici/README.md): trees of sections, lists and
// values, behind a type and for some a name, behind a length.

import { MalleeError } from '../../common/errors.ts'

/** What is read has texts only. */
export type ViciValue = string | Uint8Array | readonly string[] | ViciMessage

export interface ViciMessage {
  readonly [key: string]: ViciValue
}

export const PACKET = {
  request: 0,
  response: 1,
  unknownCommand: 2,
  register: 3,
  unregister: 4,
  confirm: 5,
  unknownEvent: 6,
  event: 7,
} as const

export interface ViciPacket {
  readonly type: number
  /** Empty for types without one. */
  readonly name: string
  readonly body: ViciMessage
}

/** strongSwan takes no longer ones. */
export const MAX_PACKET_BYTES: number = 512 << 10
const MAX_DEPTH = 16
const ELEMENT = { section: 1, sectionEnd: 2, value: 3, list: 4, item: 5, listEnd: 6 } as const
const NAMED: ReadonlySet<number> = new Set([
  ...[PACKET.request, PACKET.register, PACKET.unregister, PACKET.event],
])

/** With the length before it. Throws BadArgument for what has no room. */
export function encodePacket({ type, name, body }: ViciPacket): Buffer {
  const head = NAMED.has(type) ? [Buffer.of(type), named(name)] : [Buffer.of(type)]
  const packet = Buffer.concat([...head, ...elementsOf(body)])
  if (packet.length > MAX_PACKET_BYTES) {
    throw new MalleeError('BadArgument', `${name} has ${packet.length} bytes, too many for VICI`)
  }
  const length = Buffer.alloc(4)
  length.writeUInt32BE(packet.length)
  return Buffer.concat([length, packet])
}

/** Without the length. Throws BadMessage. */
export function decodePacket(packet: Buffer): ViciPacket {
  const reader = new Reader(packet)
  const type = reader.byte()
  const name = NAMED.has(type) ? reader.short() : ''
  return { type, name, body: readSection(reader, 0) }
}

/** The section of that name, empty when it is none. */
export function sectionOf(message: ViciMessage, key: string): ViciMessage {
  const value = message[key]
  return isSection(value) ? value : {}
}

/** The text of that name, empty when it is none. */
export function textOf(message: ViciMessage, key: string): string {
  const value = message[key]
  return typeof value === 'string' ? value : ''
}

/** The list of that name, empty when it is none. */
export function listOf(message: ViciMessage, key: string): readonly string[] {
  const value = message[key]
  return Array.isArray(value) ? (value as readonly string[]) : []
}

function isSection(value: ViciValue | undefined): value is ViciMessage {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array)
}

function elementsOf(message: ViciMessage): Buffer[] {
  return Object.entries(message).flatMap(([key, value]) => {
    if (typeof value === 'string' || value instanceof Uint8Array) {
      return [Buffer.of(ELEMENT.value), named(key), sized(value)]
    }
    if (isSection(value)) {
      const inner = elementsOf(value)
      return [Buffer.of(ELEMENT.section), named(key), ...inner, Buffer.of(ELEMENT.sectionEnd)]
    }
    const items = value.flatMap((item) => [Buffer.of(ELEMENT.item), sized(item)])
    return [Buffer.of(ELEMENT.list), named(key), ...items, Buffer.of(ELEMENT.listEnd)]
  })
}

function named(name: string): Buffer {
  const bytes = Buffer.from(name)
  if (bytes.length > 255) throw new MalleeError('BadArgument', `no name for VICI: ${name}`)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

/** Never with the value itself: it may be a secret. */
function sized(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array)
  if (bytes.length > 0xffff) throw new MalleeError('BadArgument', 'a value is too long for VICI')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function readSection(reader: Reader, depth: number): ViciMessage {
  if (depth > MAX_DEPTH) throw bad('sections within sections without an end')
  const found: Record<string, ViciValue> = Object.create(null)
  for (;;) {
    if (depth === 0 && reader.isAtEnd()) return found
    switch (reader.byte()) {
      case ELEMENT.section: {
        const key = reader.short()
        found[key] = readSection(reader, depth + 1)
        break
      }
      case ELEMENT.value: {
        const key = reader.short()
        found[key] = reader.long()
        break
      }
      case ELEMENT.list: {
        const key = reader.short()
        found[key] = readList(reader)
        break
      }
      case ELEMENT.sectionEnd:
        if (depth > 0) return found
        throw bad('an end without a section')
      default:
        throw bad('an element of another kind')
    }
  }
}

function readList(reader: Reader): string[] {
  const items: string[] = []
  for (;;) {
    const kind = reader.byte()
    if (kind === ELEMENT.listEnd) return items
    if (kind !== ELEMENT.item) throw bad('a list with something else in it')
    items.push(reader.long())
  }
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    return this.#take(1)[0] ?? 0
  }

  /** A text behind one byte of length. */
  short(): string {
    return this.#take(this.byte()).toString()
  }

  /** A text behind two. */
  long(): string {
    return this.#take(this.#take(2).readUInt16BE()).toString()
  }

  #take(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw bad('an end too early')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }
}

function bad(what: string): MalleeError {
  return new MalleeError('BadMessage', `strongSwan sent no packet of VICI: ${what}`)
}
