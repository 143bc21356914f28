// A store that does some things in its own way.

import type { Store } from '../../../gateway/store/store.ts'

/** `store` with other methods for those of `own`. */
export function storeWith(store: Store, own: Partial<Store>): Store {
  return {
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    revision: () => store.revision(),
    watch: (prefix, from, signal) => store.watch(prefix, from, signal),
    epoch: () => store.epoch(),
    close: () => store.close(),
    txn: (when, then) => store.txn(when, then),
    ...own,
  }
}
