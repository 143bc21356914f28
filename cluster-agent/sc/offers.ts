// The streams that an SC keeps open towards its parent: a few on which nobody asks anything at the
// moment, so that who asks need not wait for one, up to as many as the disks shall serve at a time.

import type * as grpc from '@grpc/grpc-js'
import type { Clock } from '../../common/clock.ts'
import type { Log } from '../../common/log.ts'
import { statusToError } from '../../proto/service.ts'
import { type AnsweringLane, offerLane } from '../../proto/storage.ts'
import { type AnswerParts, answerAsks } from './answers.ts'

/** Streams that wait for somebody who asks, and those that there are at most. */
const IDLE_LANES = 4
const MAX_LANES = 32
/** How soon a session that has opened is noticed. */
const LOOK_MS = 250
/** After a parent refused a stream, twice as long after each further one. */
const REFUSED = { firstMs: 1_000, lastMs: 30_000 }

export interface OfferParts {
  readonly host: string
  readonly blobs: AnswerParts['blobs']
  /** Of the session with the parent; null when there is none. */
  readonly connection: () => grpc.Client | null
  readonly clock: Clock
  readonly log: Log
}

/** Keeps streams open until the returned function is called. */
export function keepOffers({ host, blobs, connection, clock, log }: OfferParts): {
  readonly stop: () => Promise<void>
} {
  const stopped = new AbortController()
  const lanes = new Set<AnsweringLane>()
  let asked = 0
  let refusals = 0
  let notBeforeMs = 0
  const running = run()
  return {
    stop: async () => {
      stopped.abort()
      await running
      for (const lane of lanes) lane.close()
    },
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      fill()
      await clock.sleep(LOOK_MS, stopped.signal)
    }
  }

  function fill(): void {
    const parent = connection()
    if (parent === null || stopped.signal.aborted || clock.nowMs() < notBeforeMs) return
    while (lanes.size - asked < IDLE_LANES && lanes.size < MAX_LANES) {
      const lane = offerLane(parent, host)
      lanes.add(lane)
      void serve(lane)
    }
  }

  async function serve(lane: AnsweringLane): Promise<void> {
    let wasAsked = false
    const begun = (): void => {
      wasAsked = true
      refusals = 0
      asked += 1
      fill()
    }
    const ended = (): void => {
      asked -= 1
    }
    try {
      await answerAsks(lane, { blobs, clock, log, begun, ended })
      lane.close()
    } catch (error) {
      lane.close()
      if (!wasAsked && connection() !== null && !stopped.signal.aborted) refused(error)
    } finally {
      lanes.delete(lane)
    }
  }

  /** All that were opened together are refused together: that counts once. */
  function refused(error: unknown): void {
    const nowMs = clock.nowMs()
    if (nowMs < notBeforeMs) return
    const waitMs = Math.min(REFUSED.lastMs, REFUSED.firstMs * 2 ** refusals)
    refusals += 1
    notBeforeMs = nowMs + waitMs
    const { code, message } = statusToError(error)
    log.info('a stream of storage was refused', { code, message, waitMs })
  }
}
