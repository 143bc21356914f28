// CreateManagedPrefixList, ModifyManagedPrefixList, RestoreManagedPrefixListVersion and
// DeleteManagedPrefixList.

import type { ManagedPrefixList } from '@aws-sdk/client-ec2'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { PrefixListRecord } from '../store/network-records.ts'
import type { Transaction, View } from '../store/state.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import type { NetworkParts } from './create-vpc.ts'
import { checkRuleCount } from './group-rules.ts'
import { namedInStore, namedInView, newId, notFound } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required } from './input.ts'
import {
  changedEntries,
  checkSize,
  checkVersion,
  entriesAt,
  nextVersion,
  parseEntries,
  parseFamily,
  parseMaxEntries,
} from './prefix-list-entries.ts'
import { prefixListOf, usersOf } from './prefix-list-queries.ts'
import { checkQuota } from './quotas.ts'
import { removeUnused } from './removal.ts'
import { parseText } from './rule-request.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'

type PrefixListHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateManagedPrefixList'
    | 'DeleteManagedPrefixList'
    | 'ModifyManagedPrefixList'
    | 'RestoreManagedPrefixListVersion'
  >
>

const MODIFY_KNOWN = new Set([
  'PrefixListId',
  'CurrentVersion',
  'PrefixListName',
  'AddEntries',
  'RemoveEntries',
  'MaxEntries',
  'DryRun',
])
const MODIFY_HARMLESS = new Map([['IpamPrefixListResolverSyncEnabled', [false]]])

export function prefixListHandlers({ state, randomHex, region }: NetworkParts): PrefixListHandlers {
  const shown = async (id: string, account: string): Promise<ManagedPrefixList | undefined> => {
    const view = await state.fresh()
    const [list] = namedInView(view, 'prefix-list', [id], account)
    return list && prefixListOf(view, region, list)
  }
  return {
    CreateManagedPrefixList: async (context, input) => {
      const { account } = context.caller
      const name = nameOf(required('PrefixListName', input.PrefixListName))
      const family = parseFamily(required('AddressFamily', input.AddressFamily))
      const maxEntries = parseMaxEntries(required('MaxEntries', input.MaxEntries))
      const entries = parseEntries(family, input.Entries)
      const tags = parseTagSpecifications(input.TagSpecifications, ['prefix-list'])
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'CreateManagedPrefixList', token }
      const id = await state.update(async (tx) => {
        const before = await answeredBefore(tx, use)
        if (before !== null) return before
        const made = await newId(tx, randomHex, 'prefix-list')
        checkSize({ id: made, maxEntries }, entries.length)
        await checkQuota(tx, state, account, 'prefix-lists')
        endDryRun(input)
        const fields = { name, family, maxEntries, version: 1, entries, history: [] }
        await tx.put('prefix-list', [made], { id: made, account, ...fields })
        const owner = { kind: 'prefix-list', id: made, account } as const
        await addTags(tx, owner, tags.get('prefix-list') ?? new Map())
        await keepAnswer(tx, use, made)
        return made
      })
      return { PrefixList: await shown(id, account) }
    },

    ModifyManagedPrefixList: async ({ caller: { account } }, input) => {
      const id = required('PrefixListId', input.PrefixListId)
      refuseUnknown(input, MODIFY_KNOWN, MODIFY_HARMLESS)
      const { MaxEntries: max, PrefixListName: name, CurrentVersion: version } = input
      const isChanged = (input.AddEntries ?? []).length + (input.RemoveEntries ?? []).length > 0
      if (isChanged && max !== undefined) {
        const text = 'You cannot modify the entries of a prefix list and its size at the same time.'
        throw new ApiError('InvalidParameterCombination', text)
      }
      if (isChanged) required('CurrentVersion', version)
      const view = await state.fresh()
      await state.update(async (tx) => {
        const list = await listNow(tx, id, account)
        if (version !== undefined) checkVersion(list, version)
        const added = parseEntries(list.family, input.AddEntries)
        const removed = parseEntries(list.family, input.RemoveEntries)
        const entries = changedEntries(list, added, removed)
        const named = name === undefined ? list : { ...list, name: nameOf(name) }
        const next = isChanged ? nextVersion(named, entries) : named
        await tx.put('prefix-list', [id], next)
        if (max !== undefined) await resize(tx, view, next, parseMaxEntries(max))
        endDryRun(input)
      })
      return { PrefixList: await shown(id, account) }
    },

    RestoreManagedPrefixListVersion: async ({ caller: { account } }, input) => {
      const id = required('PrefixListId', input.PrefixListId)
      const current = required('CurrentVersion', input.CurrentVersion)
      const previous = required('PreviousVersion', input.PreviousVersion)
      await state.update(async (tx) => {
        const list = await listNow(tx, id, account)
        checkVersion(list, current)
        const next = nextVersion(list, entriesAt(list, previous))
        endDryRun(input)
        await tx.put('prefix-list', [id], next)
      })
      return { PrefixList: await shown(id, account) }
    },

    DeleteManagedPrefixList: async ({ caller: { account } }, input) => {
      const id = required('PrefixListId', input.PrefixListId)
      const before = await shown(id, account)
      await removeUnused({ state, randomHex }, input, {
        kind: 'prefix-list',
        id,
        check: (view) => checkUnused(view, account, id),
        remove: async (tx) => {
          await listNow(tx, id, account)
          await tx.delete('tags', id)
          await tx.delete('prefix-list', id)
        },
      })
      return { PrefixList: { ...before, State: 'delete-complete' } }
    },
  }
}

async function listNow(tx: Transaction, id: string, account: string): Promise<PrefixListRecord> {
  const [list] = await namedInStore(tx, 'prefix-list', [id], account)
  if (list === undefined) throw notFound('prefix-list', [id])
  return list
}

/** Every group that names the list must have room for as many rules as it may have entries. */
async function resize(
  tx: Transaction,
  view: View,
  list: PrefixListRecord,
  maxEntries: number,
): Promise<void> {
  const next = { ...list, maxEntries }
  checkSize(next, list.entries.length)
  await tx.put('prefix-list', [list.id], next)
  for (const { id } of usersOf(view, list.account, list.id)) {
    const group = await tx.get('security-group', id)
    if (group !== null) await checkRuleCount(tx, group)
  }
}

function checkUnused(view: View, account: string, id: string): void {
  const users = usersOf(view, account, id)
  if (users.length === 0) return
  const names = users.map((one) => one.id).join(', ')
  const text = `The prefix list '${id}' is in use by ${names} and cannot be deleted.`
  throw new ApiError('DependencyViolation', text)
}

function nameOf(name: string): string {
  if (name.trim() === '') throw badValue('PrefixListName', name, 'A name has 1 to 255 characters.')
  if (name.startsWith('com.amazonaws')) {
    throw badValue('PrefixListName', name, 'Names that start with com.amazonaws are reserved.')
  }
  return parseText('PrefixListName', name)
}
