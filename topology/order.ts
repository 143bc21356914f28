// The one order of things: of numbers by value, of texts by code unit, as in every process alike.

/** For sort: negative, 0 or positive. */
export function ascending<T extends string | number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
