// When an access key last signed a request, for GetAccessKeyLastUsed: written once in a quarter of
// an hour, as AWS tells it no finer either.

import { messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { State } from '../store/state.ts'

const EVERY_MS = 15 * 60_000

export interface KeyUse {
  readonly accessKeyId: string
  readonly service: string
  readonly region: string
  readonly nowMs: number
}

/** Called for each signed request; the request does not wait for what is written. */
export function keyUses({ state, log }: { state: State; log: Log }): (use: KeyUse) => void {
  const underWay = new Set<string>()
  return ({ accessKeyId: id, service, region, nowMs }) => {
    const view = state.view()
    const last = view.get('key-use', id)?.usedAtMs ?? Number.NEGATIVE_INFINITY
    if (nowMs - last < EVERY_MS || underWay.has(id) || view.get('access-key', id) === null) return
    underWay.add(id)
    state
      .update(async (tx) => {
        // Deleted meanwhile: a use would stay for ever.
        if ((await tx.get('access-key', id)) === null) return
        await tx.put('key-use', [id], { id, usedAtMs: nowMs, service, region })
      })
      .catch((error: unknown) =>
        log.warn('use of a key is not written', { error: messageOf(error) }),
      )
      .finally(() => underWay.delete(id))
  }
}
