// Reading a store that others write to meanwhile, so that what comes out is of one moment.

import { MalleeError } from '../../common/errors.ts'
import { MemoryView } from './memory-view.ts'
import { type Change, Compacted, type Store } from './store.ts'

const MAX_TRIES = 5

/** Everything at one revision, and the epoch of it. */
export async function loadView(store: Store): Promise<{ view: MemoryView; epoch: string }> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const epoch = await store.epoch()
    try {
      const view = await loadOnce(store, epoch)
      if ((await store.epoch()) === epoch) return { view, epoch }
    } catch (error) {
      if (!(error instanceof Compacted)) throw error
    }
  }
  throw new MalleeError('StoreUnavailable', 'the store changes faster than it can be read')
}

// Pages are of different moments: later ones show changes that earlier ones do not. Every page is
// at least as old as the revision asked for afterwards, and replaying the log up to there evens
// them out.
async function loadOnce(store: Store, epoch: string): Promise<MemoryView> {
  const view = new MemoryView()
  let page = await store.list('')
  const from = page.revision
  for (;;) {
    const changes = page.entries.map(({ key, value, version }) => ({
      key,
      value,
      revision: version,
    }))
    view.apply(changes, from)
    const after = page.entries.at(-1)?.key
    if (!page.more || after === undefined) break
    page = await store.list('', { after })
  }
  const to = await store.revision()
  const stop = new AbortController()
  for await (const changes of revisionsTo({ store, epoch, from, to, signal: stop.signal })) {
    view.apply(changes, changes[0]?.revision ?? to)
  }
  return view
}

/**
 * Every revision after `from` up to `to`, which must exist. Throws Compacted when the log does not
 * reach back, or when the store's epoch is not `epoch`.
 */
export async function* revisionsTo({
  store,
  epoch,
  from,
  to,
  signal,
}: {
  store: Store
  epoch: string
  from: number
  to: number
  signal: AbortSignal
}): AsyncGenerator<readonly Change[]> {
  if (from >= to) return
  const watch = store.watch('', from, signal)
  if ((await store.epoch()) !== epoch) throw new Compacted(from)
  for await (const changes of watch) {
    yield changes
    if ((changes[0]?.revision ?? 0) >= to) return
  }
}
