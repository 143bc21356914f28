// The security groups of a network interface: at most five, all of its own VPC, the VPC's default
// one when the request names none.

import { ApiError } from '../aws/api-error.ts'
import type { Transaction, View } from '../store/state.ts'
import { namedInStore } from './ids.ts'
import { keepFromRemoval } from './removal.ts'
import { DEFAULT_GROUP } from './vpc-records.ts'

/** Security groups of one interface (AWS, "Amazon VPC quotas"). */
export const MAX_GROUPS = 5

export interface GroupsAsked {
  readonly ids: readonly string[]
  readonly names: readonly string[]
}

/** Each once. Throws when they are too many. */
export function parseGroups(groups: readonly string[] | undefined): readonly string[] {
  const unique = [...new Set(groups ?? [])]
  if (unique.length <= MAX_GROUPS) return unique
  const text = `An interface can have ${MAX_GROUPS} security groups; this request names ${unique.length}.`
  throw new ApiError('SecurityGroupsPerInterfaceLimitExceeded', text)
}

/** The ids of the groups. Throws InvalidGroup.NotFound, or InvalidParameter for another VPC's. */
export async function groupsFor(
  tx: Transaction,
  view: View,
  account: string,
  vpc: string,
  { ids, names }: GroupsAsked,
): Promise<string[]> {
  const wanted = ids.length + names.length === 0 ? [DEFAULT_GROUP] : names
  const there = wanted.length === 0 ? [] : view.by('security-group', 'vpc', vpc)
  const named = wanted.map((name) => {
    const group = there.find((one) => one.name === name && one.account === account)
    if (group !== undefined) return group.id
    const text = `The security group '${name}' does not exist in VPC '${vpc}'`
    throw new ApiError('InvalidGroup.NotFound', text)
  })
  const groups = await namedInStore(tx, 'security-group', [...ids, ...named], account)
  const foreign = groups.find((group) => group.vpc !== vpc)
  if (foreign !== undefined) {
    const text =
      `Security group ${foreign.id} and the subnet belong to different networks: ` +
      `${foreign.vpc} and ${vpc}.`
    throw new ApiError('InvalidParameter', text)
  }
  const all = groups.map((group) => group.id)
  await keepFromRemoval(tx, 'security-group', all)
  return all
}
