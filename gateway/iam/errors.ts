// The refusals of IAM in its words (IAM API reference, "Errors" of every action).

import { ApiError } from '../aws/api-error.ts'

export function noSuchEntity(what: string, name: string): ApiError {
  const message = `The ${what} with name ${name} cannot be found.`
  return new ApiError('NoSuchEntity', message, 404)
}

/** With a sentence of its own. */
export function notThere(message: string): ApiError {
  return new ApiError('NoSuchEntity', message, 404)
}

export function alreadyExists(what: string, name: string): ApiError {
  const message = `${what} with name ${name} already exists.`
  return new ApiError('EntityAlreadyExists', message, 409)
}

export function deleteConflict(why: string): ApiError {
  return new ApiError('DeleteConflict', `Cannot delete entity, must ${why} first.`, 409)
}

export function limitExceeded(quota: string, most: number): ApiError {
  return new ApiError('LimitExceeded', `Cannot exceed quota for ${quota}: ${most}`, 409)
}

export function invalid(message: string): ApiError {
  return new ApiError('ValidationError', message)
}

/** What the value of a parameter does not satisfy, as AWS' validation says it. */
export function unsatisfied(name: string, value: string, constraint: string): ApiError {
  const shown = value.length > 200 ? `${value.slice(0, 200)}...` : value
  return invalid(
    `1 validation error detected: Value '${shown}' at '${name}' failed to satisfy constraint: ` +
      `Member must ${constraint}`,
  )
}
