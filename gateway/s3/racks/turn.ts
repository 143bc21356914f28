// One turn of asking an SC something: a stream, how long it may be silent, and what of its answers
// is taken at all.

import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { Clock } from '../../../common/clock.ts'
import { type Code, codeOf, MalleeError } from '../../../common/errors.ts'
import { type StorageAnswer, StorageAskSchema } from '../../../proto/gen/mallee/v1/storage_pb.js'
import { Pulse } from '../../../proto/pulse.ts'
import type { AskingLane } from '../../../proto/storage.ts'

/** So long an SC may neither send nor take anything while it is its turn. */
const STALL = { lookMs: 2_500, ms: 20_000 }
const CODES: ReadonlySet<string> = new Set<Code>([
  'DataCorrupt',
  'NotFound',
  'StoreFull',
  'StoreUnavailable',
])
const MAX_SENTENCE_CHARS = 200

type Ask = NonNullable<MessageInitShape<typeof StorageAskSchema>['body']>
type Case = NonNullable<StorageAnswer['body']['case']>
type Value<C extends Case> = Extract<StorageAnswer['body'], { case: C }>['value']

/** A stream for one ask. */
export interface Turn {
  readonly lane: AskingLane
  readonly clock: Clock
  /** Whose it is, for people: `host a1 of rack a`. */
  readonly whose: string
}

/** Counts silence, but for the time that this side takes. */
export class TurnPulse {
  readonly #pulse: Pulse
  #paused = false

  constructor(turn: Turn) {
    this.#pulse = new Pulse({
      clock: turn.clock,
      idle: () => this.#paused,
      beat: () => this.#pulse.heard(),
      silent: (ms) => turn.lane.close(away(turn, `said nothing for ${ms} ms`)),
    })
    this.#pulse.start(STALL.lookMs, STALL.ms)
  }

  pause(): void {
    this.#paused = true
  }

  go(): void {
    this.#paused = false
    this.#pulse.heard()
  }

  heard(): void {
    this.#pulse.heard()
  }

  stop(): void {
    this.#pulse.stop()
  }

  /** The same bytes; waiting for them is nobody's silence. */
  async *pausedFor(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.pause()
    for await (const chunk of bytes) {
      this.go()
      yield chunk
      this.pause()
    }
    this.go()
  }
}

/** Any error but a refusal leaves the stream in an unknown state: then it is closed. */
export async function watched<T>(turn: Turn, run: (pulse: TurnPulse) => Promise<T>): Promise<T> {
  const pulse = new TurnPulse(turn)
  let isDone = false
  try {
    const result = await run(pulse)
    isDone = true
    return result
  } finally {
    pulse.stop()
    if (!isDone) turn.lane.close()
  }
}

/** Resolves when there is room for more. Throws RackAway. */
export async function send(turn: Turn, body: Ask): Promise<void> {
  await turn.lane.send(create(StorageAskSchema, { body })).catch((cause: unknown) => {
    throw awayBy(turn, cause)
  })
}

/** The answer that is due. Throws its refusal, RackAway, StoreUnavailable for another answer. */
export async function expect<C extends Case>(
  turn: Turn,
  pulse: TurnPulse,
  wanted: C,
): Promise<Value<C>> {
  const { body } = await next(turn, pulse)
  if (body.case === wanted) return body.value as Value<C>
  throw wrong(turn, `answered ${body.case} and not ${wanted}`)
}

/** What it says next, but that it is busy. Throws its refusal, RackAway. */
export async function next(turn: Turn, pulse: TurnPulse): Promise<StorageAnswer> {
  for (;;) {
    const answer = await turn.lane.next().catch((cause: unknown) => {
      throw awayBy(turn, cause)
    })
    if (answer === null) throw away(turn, 'hung up')
    pulse.heard()
    const { body } = answer
    if (body.case === 'busy') continue
    if (body.case !== 'failure') return answer
    const { code, message } = body.value
    const known = CODES.has(code) ? (code as Code) : 'StoreUnavailable'
    throw new MalleeError(known, `${turn.whose}: ${message.slice(0, MAX_SENTENCE_CHARS)}`)
  }
}

export function wrong({ whose }: Turn, what: string): MalleeError {
  return new MalleeError('StoreUnavailable', `${whose} ${what}`)
}

export function away({ whose }: Turn, what: string, cause?: unknown): MalleeError {
  return new MalleeError('RackAway', `${whose} ${what}`, { cause })
}

/** As it is known already, or the end of the stream. */
function awayBy(turn: Turn, cause: unknown): MalleeError {
  return codeOf(cause) === 'RackAway' ? (cause as MalleeError) : away(turn, 'broke off', cause)
}
