// The answer of a pure function that its caller must decide on.

export type Result<T, Why extends string = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: Why }

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

export function no<Why extends string>(why: Why): { readonly ok: false; readonly why: Why } {
  return { ok: false, why }
}

/** The end of an exhaustive switch: a new case is a compile error here. */
export function never(value: never): never {
  throw new RangeError(`unexpected ${JSON.stringify(value)}`)
}
