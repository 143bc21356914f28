// DescribeManagedPrefixLists, GetManagedPrefixListEntries, GetManagedPrefixListAssociations and
// DescribePrefixLists.

import type {
  ManagedPrefixList,
  PrefixList,
  PrefixListAssociation,
  PrefixListEntry,
} from '@aws-sdk/client-ec2'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { PrefixListRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInView, notFound } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { entriesAt } from './prefix-list-entries.ts'
import { tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type QueryHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'DescribeManagedPrefixLists'
    | 'DescribePrefixLists'
    | 'GetManagedPrefixListAssociations'
    | 'GetManagedPrefixListEntries'
  >
>

const MANAGED: Filterable<ManagedPrefixList> = {
  fields: {
    'owner-id': (list) => list.OwnerId,
    'prefix-list-id': (list) => list.PrefixListId,
    'prefix-list-name': (list) => list.PrefixListName,
  },
  tags: (list) => list.Tags,
}

const OF_SERVICES: Filterable<PrefixList> = {
  fields: {
    'prefix-list-id': (list) => list.PrefixListId,
    'prefix-list-name': (list) => list.PrefixListName,
  },
}

export function prefixListQueryHandlers({
  state,
  region,
}: {
  state: State
  region: string
}): QueryHandlers {
  return {
    DescribeManagedPrefixLists: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const lists = ownedOrNamed(view, 'prefix-list', input.PrefixListIds, account)
      endDryRun(input)
      const shown = lists.map((list) => prefixListOf(view, region, list))
      const found = matching(shown, input.Filters, MANAGED)
      const cursor = (list: ManagedPrefixList): string => list.PrefixListId ?? ''
      const action = 'DescribeManagedPrefixLists'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { PrefixLists: [...items], NextToken: nextToken }
    },

    GetManagedPrefixListEntries: async (context, input) => {
      const view = await state.fresh()
      const list = named(view, context.caller.account, input)
      const entries = entriesAt(list, input.TargetVersion ?? list.version)
      endDryRun(input)
      const shown = entries.map(({ cidr, description }) => ({
        Cidr: cidr,
        Description: description === '' ? undefined : description,
      }))
      const cursor = (entry: PrefixListEntry): string => entry.Cidr ?? ''
      const action = 'GetManagedPrefixListEntries'
      const { items, nextToken } = pageOf(context, action, input, shown, cursor)
      return { Entries: [...items], NextToken: nextToken }
    },

    GetManagedPrefixListAssociations: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const list = named(view, account, input)
      endDryRun(input)
      const shown = usersOf(view, account, list.id).map((user) => ({
        ResourceId: user.id,
        ResourceOwner: user.account,
      }))
      const cursor = (one: PrefixListAssociation): string => one.ResourceId ?? ''
      const action = 'GetManagedPrefixListAssociations'
      const { items, nextToken } = pageOf(context, action, input, shown, cursor)
      return { PrefixListAssociations: [...items], NextToken: nextToken }
    },

    // Those of AWS's own services, of which this cloud has none behind a prefix list.
    DescribePrefixLists: async (context, input) => {
      const [unknown] = input.PrefixListIds ?? []
      if (unknown !== undefined) throw notFound('prefix-list', [unknown])
      endDryRun(input)
      const found = matching<PrefixList>([], input.Filters, OF_SERVICES)
      const cursor = (list: PrefixList): string => list.PrefixListId ?? ''
      const { items } = pageOf(context, 'DescribePrefixLists', input, found, cursor)
      return { PrefixLists: [...items] }
    },
  }
}

export function prefixListOf(
  view: View,
  region: string,
  list: PrefixListRecord,
): ManagedPrefixList {
  return {
    PrefixListId: list.id,
    PrefixListArn: `arn:aws:ec2:${region}:${list.account}:prefix-list/${list.id}`,
    PrefixListName: list.name,
    AddressFamily: `IPv${list.family}`,
    MaxEntries: list.maxEntries,
    Version: list.version,
    OwnerId: list.account,
    // A change is there when it is answered: no list is ever in progress.
    State: list.version === 1 ? 'create-complete' : 'modify-complete',
    Tags: tagList(view, list.id),
  }
}

/** The groups and route tables that name a list; only its owner's can. */
export function usersOf(
  view: View,
  account: string,
  id: string,
): readonly { readonly id: string; readonly account: string }[] {
  return [
    ...view
      .by('security-group', 'account', account)
      .filter((group) => group.rules.some((rule) => rule.prefixList === id)),
    ...view
      .by('route-table', 'account', account)
      .filter((table) => table.routes.some((route) => route.destination === id)),
  ]
}

function named(
  view: View,
  account: string,
  input: { readonly PrefixListId?: string | undefined },
): PrefixListRecord {
  const id = required('PrefixListId', input.PrefixListId)
  const [list] = namedInView(view, 'prefix-list', [id], account)
  if (list === undefined) throw notFound('prefix-list', [id])
  return list
}
