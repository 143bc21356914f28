// What every handler does with its input: required parameters, dry runs, what is not supported.

import { ApiError, DRY_RUN_MESSAGE } from '../aws/api-error.ts'

/** Ends a dry run. To be called when everything is checked and nothing is done yet. */
export function endDryRun(input: { readonly DryRun?: boolean | undefined }): void {
  if (input.DryRun === true) throw new ApiError('DryRunOperation', DRY_RUN_MESSAGE, 412)
}

/** Throws MissingParameter for what is absent or an empty list. */
export function required<T>(name: string, value: T | undefined): T {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) {
    throw new ApiError('MissingParameter', `The request must contain the parameter ${name}`)
  }
  return value
}

/** Is the value among those that the request names? A request that names none wants all. */
export function isAsked(named: readonly string[] | undefined, value: string): boolean {
  return named === undefined || named.length === 0 || named.includes(value)
}

export function badValue(name: string, value: unknown, why: string): ApiError {
  const text = `Value (${String(value)}) for parameter ${name} is invalid. ${why}`
  return new ApiError('InvalidParameterValue', text)
}

export function unsupported(what: string): ApiError {
  return new ApiError('UnsupportedOperation', `${what} is not supported by this cloud.`)
}

/**
 * Refuses every parameter that is neither in `known` nor has one of its harmless values: what a
 * handler would ignore although the caller counts on it, also parameters that AWS adds later.
 */
export function refuseUnknown(
  input: object,
  known: ReadonlySet<string>,
  harmless: ReadonlyMap<string, readonly unknown[]>,
  path = '',
): void {
  for (const [name, value] of Object.entries(input)) {
    if (known.has(name) || isAbsent(value)) continue
    const text = JSON.stringify(value)
    if (harmless.get(name)?.some((one) => JSON.stringify(one) === text)) continue
    const shown = typeof value === 'object' ? '' : ` with the value ${String(value)}`
    throw unsupported(`The parameter ${path}${name}${shown}`)
  }
}

function isAbsent(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isAbsent)
  return value === undefined || value === null || value === ''
}
