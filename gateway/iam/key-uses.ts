// When an access key last signed a request, for GetAccessKeyLastUsed, and when somebody last acted
// as a role, for its RoleLastUsed: written once in a quarter of an hour, as AWS tells it no finer
// either.

import { messageOf } from '../../common/errors.ts'
import type { Log } from '../../common/log.ts'
import type { Caller } from '../aws/handlers.ts'
import type { State, Transaction, View } from '../store/state.ts'

const EVERY_MS = 15 * 60_000

export interface KeyUse {
  readonly caller: Pick<Caller, 'userId' | 'accessKeyId'>
  readonly service: string
  readonly region: string
  readonly nowMs: number
}

/** Called for each signed request; the request does not wait for what is written. */
export function keyUses({ state, log }: { state: State; log: Log }): (use: KeyUse) => void {
  const underWay = new Set<string>()
  return ({ caller, service, region, nowMs }) => {
    const view = state.view()
    const id = usedId(caller)
    const last = view.get('key-use', id)?.usedAtMs ?? Number.NEGATIVE_INFINITY
    if (nowMs - last < EVERY_MS || underWay.has(id)) return
    const isThere = usedIn(view, id)
    if (isThere === null) return
    underWay.add(id)
    state
      .update(async (tx) => {
        // Deleted meanwhile: a use would stay for ever.
        if (!(await isThere(tx))) return
        await tx.put('key-use', [id], { id, usedAtMs: nowMs, service, region })
      })
      .catch((error: unknown) =>
        log.warn('use of a key is not written', { error: messageOf(error) }),
      )
      .finally(() => underWay.delete(id))
  }
}

/** Of a role's session the role: its keys are nowhere kept. */
function usedId({ userId, accessKeyId }: KeyUse['caller']): string {
  const [principal = '', session] = userId.split(':')
  return session !== undefined && principal.startsWith('AROA') ? principal : accessKeyId
}

/** Null for the keys of other sessions. */
function usedIn(view: View, id: string): ((tx: Transaction) => Promise<boolean>) | null {
  if (view.get('access-key', id) !== null) {
    return async (tx) => (await tx.get('access-key', id)) !== null
  }
  const [role] = view.by('iam-role', 'id', id)
  if (role === undefined) return null
  const { account, name } = role
  return async (tx) => (await tx.get('iam-role', account, name.toLowerCase()))?.id === id
}
