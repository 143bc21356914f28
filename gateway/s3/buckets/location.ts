// Where a bucket is: in the cloud's default store, or in a rack. To clients all of a cloud is one
// region, as they sign with its name and go elsewhere when a bucket is in another one: a rack is a
// zone of it.

import { zoneName } from '../../ec2/zones.ts'
import type { BucketRecord } from '../../store/bucket-records.ts'
import { rackOfStore, rackStore, storingRacks } from '../racks/store.ts'
import { S3Error } from '../wire/error.ts'
import type { BucketParts } from './bucket.ts'

/** Places and characters of an error. */
const MAX_NAMED = 20
const MAX_CHARS = 100

type Parts = Pick<BucketParts, 'state' | 'region'>

/**
 * What a bucket's record says of the place that its LocationConstraint names: the region or '' for
 * the cloud's default, a rack by its own name or its zone's. It may be away. Throws
 * InvalidLocationConstraint.
 */
export function placeOf(
  { state, region }: Parts,
  constraint: string,
): Pick<BucketRecord, 'rack' | 'store'> {
  if (constraint === '' || constraint === region) return { rack: '' }
  const isIt = (rack: string): boolean =>
    rack === constraint || zoneName(region, rack) === constraint
  const storing = storingRacks(state)
  const rack = storing.find(isIt)
  if (rack !== undefined) return { rack, store: rackStore(rack) }
  const bare = state
    .view()
    .all('rack')
    .find(({ name }) => isIt(name))
  const why =
    bare === undefined
      ? `it may be ${[region, ...storing].slice(0, MAX_NAMED).join(', ')}`
      : `rack ${bare.name} has no disks for objects`
  const message = `The specified location-constraint is not valid: ${why}`
  const fields = { LocationConstraint: constraint.slice(0, MAX_CHARS) }
  throw new S3Error('InvalidLocationConstraint', message, 400, fields)
}

/** What HeadBucket says of it beside the region; nothing of a bucket in the default store. */
export function locationShown({ region }: Pick<Parts, 'region'>, { store = '' }: BucketRecord) {
  const rack = rackOfStore(store)
  if (rack === null) return {}
  return {
    BucketLocationType: 'AvailabilityZone',
    BucketLocationName: zoneName(region, rack),
  } as const
}
