// Pages of Describe calls: a marker names the last thing that was shown, so that it survives
// restarts and things that come and go meanwhile.

import { ApiError } from '../aws/api-error.ts'
import type { CallContext } from '../aws/handlers.ts'
import { pageOf as ec2Page } from '../ec2/paging.ts'
import { invalid } from './errors.ts'

export interface PageRequest {
  readonly PageSize?: number | undefined
  readonly Marker?: string | undefined
}

const MAX_PAGE = 400

/**
 * One page of `items` in the order of `cursorOf`, which tells any two apart; without a size all of
 * them. Throws ValidationError for sizes out of 1..400 and for false markers.
 */
export function pageOf<T>(
  context: CallContext,
  action: string,
  { PageSize: size, Marker: marker }: PageRequest,
  items: readonly T[],
  cursorOf: (item: T) => string,
): { readonly items: T[]; readonly marker: string | undefined } {
  if (size !== undefined && !(size >= 1 && size <= MAX_PAGE)) {
    throw invalid(`Page size must be between 1 and ${MAX_PAGE}`)
  }
  try {
    const asked = { MaxResults: size, NextToken: marker }
    const page = ec2Page(context, action, asked, items, cursorOf, MAX_PAGE, 1)
    return { items: [...page.items], marker: page.nextToken }
  } catch (error) {
    if (error instanceof ApiError) throw invalid('The marker is not valid')
    throw error
  }
}
