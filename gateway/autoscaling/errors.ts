// The refusals of Auto Scaling in AWS's words (API reference, "Errors" of each action).

import { ApiError } from '../aws/api-error.ts'

export function invalid(message: string): ApiError {
  return new ApiError('ValidationError', message)
}

export function noGroup(): ApiError {
  return invalid('AutoScalingGroup name not found - null')
}

/** Throws ValidationError for a number out of least..most. */
export function within(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  const bound =
    value < least
      ? `have value greater than or equal to ${least}`
      : `have value less than or equal to ${most}`
  throw invalid(
    `1 validation error detected: Value '${value}' at '${name}' failed to satisfy constraint: ` +
      `Member must ${bound}`,
  )
}
