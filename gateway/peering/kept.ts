// What was made for a record, kept until one of the things that it hangs on is another one. Records
// and their lists are the same objects until they change (store/state.ts).

interface Made<V> {
  readonly of: readonly unknown[]
  readonly value: V
}

/** Goes with the records that it was made for. */
export class Kept<K extends object, V> {
  readonly #made = new WeakMap<K, Made<V>>()

  /** `of` is all that `make` looks at besides the key. */
  get(key: K, of: readonly unknown[], make: () => V): V {
    const known = this.#made.get(key)
    if (known !== undefined && isSame(known.of, of)) return known.value
    const value = make()
    this.#made.set(key, { of, value })
    return value
  }
}

export function isSame(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((each, i) => each === other[i])
}
