// Users, groups, roles, instance profiles and policies of one account: how they are found, named,
// and changed one after the other.

import type { RandomHex } from '../../common/clock.ts'
import type { Sealer } from '../secrets.ts'
import type { IamRecords } from '../store/iam-records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { checkPathPrefix } from './checks.ts'
import { alreadyExists, deleteConflict, limitExceeded, noSuchEntity } from './errors.ts'

export interface IamParts {
  readonly state: State
  readonly sealer: Sealer
  readonly randomHex: RandomHex
}

export type EntityKind = 'iam-user' | 'iam-group' | 'iam-role' | 'iam-profile' | 'iam-policy'

/** Account, and what a name is looked up by. */
interface Of {
  readonly account: string
  readonly name: string
}

const WORDS = {
  'iam-user': { word: 'user', arn: 'user', prefix: 'AIDA', quota: 'UsersPerAccount', most: 5_000 },
  'iam-group': {
    word: 'group',
    arn: 'group',
    prefix: 'AGPA',
    quota: 'GroupsPerAccount',
    most: 300,
  },
  'iam-role': { word: 'role', arn: 'role', prefix: 'AROA', quota: 'RolesPerAccount', most: 1_000 },
  'iam-profile': {
    ...{ word: 'Instance Profile', arn: 'instance-profile', prefix: 'AIPA' },
    ...{ quota: 'InstanceProfilesPerAccount', most: 1_000 },
  },
  'iam-policy': {
    ...{ word: 'policy', arn: 'policy', prefix: 'ANPA' },
    ...{ quota: 'PoliciesPerAccount', most: 1_500 },
  },
} as const satisfies Record<EntityKind, object>

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const ID_CHARACTERS = 17

/** `arn:aws:iam::<account>:role/<path>/<name>`. */
export function arnOf(kind: EntityKind, one: Of & { readonly path: string }): string {
  return `arn:aws:iam::${one.account}:${WORDS[kind].arn}${one.path}${one.name}`
}

/** A user's, role's ... unique id: `AIDA` and 17 characters of base 32. */
export function newEntityId(randomHex: RandomHex, kind: EntityKind): string {
  return `${WORDS[kind].prefix}${randomBase32(randomHex, ID_CHARACTERS)}`
}

export function randomBase32(randomHex: RandomHex, characters: number): string {
  const bytes = Buffer.from(randomHex(characters), 'hex')
  return [...bytes].map((byte) => BASE32[byte % BASE32.length]).join('')
}

/** Null when the account has none of exactly this name. */
export function findEntity<K extends EntityKind>(
  view: View,
  kind: K,
  { account, name }: Of,
): IamRecords[K] | null {
  const found = view.get(kind, account, name.toLowerCase()) as IamRecords[K] | null
  return found?.name === name ? found : null
}

/** Throws NoSuchEntity. */
export function entity<K extends EntityKind>(view: View, kind: K, of: Of): IamRecords[K] {
  const found = findEntity(view, kind, of)
  if (found === null) throw noSuchEntity(WORDS[kind].word, of.name)
  return found
}

export function entitiesOf<K extends EntityKind>(
  view: View,
  kind: K,
  account: string,
): readonly IamRecords[K][] {
  return view.withPrefix(kind, `${account}/`) as readonly IamRecords[K][]
}

/** Those whose path begins so; all of them when no prefix is given. Throws ValidationError. */
export function entitiesBelow<K extends EntityKind>(
  view: View,
  kind: K,
  { account, prefix }: { readonly account: string; readonly prefix: string | undefined },
): readonly IamRecords[K][] {
  const begin = checkPathPrefix(prefix)
  return entitiesOf(view, kind, account).filter(({ path }) => path.startsWith(begin))
}

/** Throws DeleteConflict while policies are attached or written into it. */
export function refuseWithPolicies({
  attached,
  inline,
}: Pick<IamRecords['iam-user'], 'attached' | 'inline'>): void {
  if (attached.length > 0) throw deleteConflict('detach all policies')
  if (Object.keys(inline).length > 0) throw deleteConflict('delete policies')
}

/** Throws EntityAlreadyExists and LimitExceeded: may the account have one more, of this name? */
export function checkNew(view: View, kind: EntityKind, { account, name }: Of): void {
  const { word, quota, most } = WORDS[kind]
  if (view.get(kind, account, name.toLowerCase()) !== null) {
    throw alreadyExists(word.charAt(0).toUpperCase() + word.slice(1), name)
  }
  if (entitiesOf(view, kind, account).length >= most) throw limitExceeded(quota, most)
}

export async function putEntity<K extends EntityKind>(
  tx: Transaction,
  kind: K,
  record: IamRecords[K],
): Promise<void> {
  await tx.put(kind, [record.account, record.name.toLowerCase()], record as never)
}

export async function deleteEntity(tx: Transaction, kind: EntityKind, of: Of): Promise<void> {
  await tx.delete(kind, of.account, of.name.toLowerCase())
}

/**
 * A change of an account's IAM: `view` shows everything before it, and whatever else changes there
 * meanwhile makes it run again.
 */
export async function change<T>(
  state: State,
  account: string,
  work: (tx: Transaction, view: View) => Promise<T>,
): Promise<T> {
  return await state.update(async (tx) => {
    const before = await tx.get('iam-account', account)
    const { revision } = before ?? { revision: 0 }
    const empty = { account, alias: '', passwordPolicy: null }
    await tx.put('iam-account', [account], { ...(before ?? empty), revision: revision + 1 })
    return await work(tx, await state.fresh())
  })
}
