// One message to one target: a POST that is signed, or an entry of a Redis stream. What a target
// does not take is an error; whoever calls tries again.

import { createHmac } from 'node:crypto'
import type { Clock } from '../../../common/clock.ts'
import { MalleeError, messageOf } from '../../../common/errors.ts'
import { Link } from '../../store/redis-link.ts'
import type { EventTarget } from './targets.ts'

/** What a webhook has for its answer, from the first byte sent on. */
export const ANSWER_MS = 10_000
const SIGNATURE = 'mallee-signature'
const FIELD = 'event'

export interface Message {
  /** The same whenever the message is sent again. */
  readonly id: string
  /** JSON. */
  readonly body: string
}

type Webhook = Extract<EventTarget, { kind: 'webhook' }>
type Stream = Extract<EventTarget, { kind: 'stream' }>

/** Sends to targets, and keeps the connections to them. */
export class Sender {
  readonly #clock: Clock
  /** By the targets' names. */
  readonly #links = new Map<string, { readonly of: string; readonly link: Link }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws StoreUnavailable: it may have been taken nevertheless. */
  async send(target: EventTarget, message: Message): Promise<void> {
    if (target.kind === 'webhook') await this.#post(target, message)
    else await this.#add(target, message)
  }

  async close(): Promise<void> {
    const links = [...this.#links.values()]
    this.#links.clear()
    await Promise.all(links.map(({ link }) => link.close()))
  }

  async #post({ url, secret }: Webhook, { id, body }: Message): Promise<void> {
    const seconds = Math.floor(this.#clock.nowMs() / 1000)
    const signature = secret === null ? null : signatureOf(secret, seconds, body)
    let status: number
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: {
          ...{ 'content-type': 'application/json', 'user-agent': 'mallee', 'mallee-event-id': id },
          ...(signature !== null && { [SIGNATURE]: signature }),
        },
        body,
        // Whoever answers with another address has not taken it.
        redirect: 'manual',
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      status = answer.status
      await answer.body?.cancel()
    } catch (cause) {
      throw unreached(causeOf(cause), cause)
    }
    if (status < 200 || status >= 300) throw unreached(`it answered ${status}`)
  }

  async #add(target: Stream, { id, body }: Message): Promise<void> {
    const { stream, maxLength } = target
    await this.#linkTo(target).run(async (redis) => {
      const fields = ['*', FIELD, body, 'id', id]
      if (maxLength === 0) await redis.xadd(stream, ...fields)
      else await redis.xadd(stream, 'MAXLEN', '~', maxLength, ...fields)
    })
  }

  #linkTo({ name, address }: Stream): Link {
    const of = JSON.stringify(address)
    const known = this.#links.get(name)
    if (known?.of === of) return known.link
    void known?.link.close()
    const link = new Link(address, 'events', this.#clock, async () => undefined)
    this.#links.set(name, { of, link })
    return link
  }
}

/** Of time and body, so that a message cannot be sent again much later. */
function signatureOf(secret: string, seconds: number, body: string): string {
  const digest = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
  return `t=${seconds},v1=${digest}`
}

function unreached(why: string, cause?: unknown): MalleeError {
  return new MalleeError('StoreUnavailable', `the message was not taken: ${why}`, { cause })
}

/** What fetch says is only that it failed. */
function causeOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  return messageOf(cause ?? error) || String((cause as { code?: string })?.code ?? '')
}
