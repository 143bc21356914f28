// Entries in the order of their cursors, sorted only as far as somebody looks: a heap. The first
// thousand of a hundred thousand cost little more than looking at each once.

export interface Entry<T> {
  readonly cursor: string
  readonly item: T
}

/** Smallest cursor first. Takes the array: it is reordered and emptied. */
export function* inOrder<T>(entries: Entry<T>[]): Generator<Entry<T>, void> {
  for (let at = (entries.length >>> 1) - 1; at >= 0; at -= 1) sink(entries, at)
  for (;;) {
    const first = entries[0]
    const last = entries.pop()
    if (first === undefined || last === undefined) return
    if (entries.length > 0) {
      entries[0] = last
      sink(entries, 0)
    }
    yield first
  }
}

/** Moves the entry at `at` down until none below it is smaller. */
function sink<T>(heap: Entry<T>[], at: number): void {
  const moved = heap[at]
  if (moved === undefined) return
  let hole = at
  for (;;) {
    const left = 2 * hole + 1
    const right = left + 1
    let least = heap[left]
    let from = left
    const other = heap[right]
    if (least !== undefined && other !== undefined && other.cursor < least.cursor) {
      least = other
      from = right
    }
    if (least === undefined || moved.cursor <= least.cursor) break
    heap[hole] = least
    hole = from
  }
  heap[hole] = moved
}
