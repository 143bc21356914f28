// Random values of the models' shapes, the same for the same seed; and what a wire can tell of two.

import type { Member, Model, Ref } from '../../../gateway/aws/model.ts'

/** Values of the model's shapes from a linear congruential generator. */
export function generator(model: Model, seed: number): { readonly value: (ref: Ref) => unknown } {
  const isRest = model.protocol === 'rest'
  let state = seed
  function below(limit: number): number {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % limit
  }
  function pick<T>(values: readonly T[]): T {
    return values[below(values.length)] as T
  }
  function value(ref: Ref, depth = 0, enumName?: string, isHeader = false): unknown {
    if (typeof ref === 'number') return compound(ref, depth, enumName)
    if (enumName !== undefined) return pick(model.enums[enumName] ?? [])
    switch (ref) {
      case 's':
        if (isHeader) return pick(['a', 'b c', '<&>"', 'x=1&y', '+', '2', '%41'])
        return pick(['a', 'b c', '<&>"', 'é漢🐨', 'x=1&y', '+', '2', ' padded ', 'a\r\nb', '%41'])
      case 'n':
        return below(1000) - 10
      case 'd':
        return below(1000) / 8
      case 'b':
        return below(2) === 1
      case 't':
        return new Date(1.7e12 + below(1_000_000) * 1000)
      case 'x':
        return new Uint8Array(Buffer.from(`blob${below(9)}`))
    }
  }
  function compound(ref: number, depth: number, enumName: string | undefined): unknown {
    const shape = model.shapes[ref]
    if (shape?.[0] === 'l') {
      return Array.from({ length: 1 + below(2) }, () => value(shape[2], depth + 1, enumName))
    }
    if (shape?.[0] === 'm') return { k1: value(shape[3], depth + 1, undefined, isRest) }
    const members = (shape?.[2] ?? []).filter((member) => isWanted(member, depth))
    const entries = members.map((each) => [each.n, memberValue(each, depth)] as const)
    if (entries.length > 0 || depth === 0) return Object.fromEntries(entries)
    return least(shape?.[2] ?? [], depth)
  }
  function memberValue(member: Member, depth: number): unknown {
    const isHeader = member.h !== undefined || member.lb === 1
    return value(member.r, depth + 1, member.e, isHeader)
  }
  /** Not empty, as an empty structure that is required cannot be written. */
  function least(members: readonly Member[], depth: number): unknown {
    const one = members.find((each) => typeof each.r === 'string') ?? members[0]
    return one === undefined ? {} : { [one.n]: value(one.r, depth + 1, one.e) }
  }
  function isWanted(member: Member, depth: number): boolean {
    if (member.req === 1 || member.tok === 1) return true
    if (depth > 5 && typeof member.r === 'number') return false
    return below(depth > 2 ? 4 : 2) === 0
  }
  return { value: (ref) => value(ref) }
}

/** Neither protocol can tell an empty structure or list from an absent one: both are dropped. */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (value instanceof Date || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map(comparable).filter((item) => item !== undefined)
    return items.length === 0 ? undefined : items
  }
  const entries = Object.entries(value)
    .map(([key, held]) => [key, comparable(held)] as const)
    .filter(([, held]) => held !== undefined)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
