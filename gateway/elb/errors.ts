// The refusals of Elastic Load Balancing (its API reference, "Errors" of every action).

import { ApiError } from '../aws/api-error.ts'

/** Kinds of records that have an ARN here. */
export type Kind = 'load-balancer' | 'target-group' | 'listener'

const NOUNS: Readonly<Record<Kind, { readonly code: string; readonly words: string }>> = {
  'load-balancer': { code: 'LoadBalancerNotFound', words: 'load balancer' },
  'target-group': { code: 'TargetGroupNotFound', words: 'target group' },
  listener: { code: 'ListenerNotFound', words: 'listener' },
}

export function wordsOf(kind: Kind): string {
  return NOUNS[kind].words
}

/** Of things that are not there, or somebody else's. */
export function notFound(kind: Kind, names: readonly string[]): ApiError {
  const { code, words } = NOUNS[kind]
  const subject = `${words.charAt(0).toUpperCase()}${words.slice(1)}s`
  return new ApiError(code, `${subject} '[${names.join(', ')}]' not found`)
}

export function invalid(message: string): ApiError {
  return new ApiError('ValidationError', message)
}

/** A request whose parts do not go together, or that wants what this cloud does not have. */
export function badConfiguration(message: string): ApiError {
  return new ApiError('InvalidConfigurationRequest', message)
}
