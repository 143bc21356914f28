// CreateDhcpOptions, DescribeDhcpOptions, DeleteDhcpOptions, AssociateDhcpOptions.

import type { DhcpOptions } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import type { DhcpOptionsRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { PROVIDED_DNS, parseDhcpOptions } from './dhcp-values.ts'
import { type Filterable, matching } from './filters.ts'
import { namedInStore, newId } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { pageOf } from './paging.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type DhcpHandlers = Required<
  Pick<
    Ec2Handlers,
    'CreateDhcpOptions' | 'DescribeDhcpOptions' | 'DeleteDhcpOptions' | 'AssociateDhcpOptions'
  >
>

/** The options of a VPC that names none. */
const DEFAULT = 'default'

const FILTERABLE: Filterable<DhcpOptions> = {
  fields: {
    'dhcp-options-id': (one) => one.DhcpOptionsId,
    key: (one) => one.DhcpConfigurations?.map((option) => option.Key),
    value: (one) =>
      one.DhcpConfigurations?.flatMap((option) => option.Values?.map((value) => value.Value)),
    'owner-id': (one) => one.OwnerId,
  },
  tags: (one) => one.Tags,
}

export function dhcpOptionsHandlers({
  state,
  randomHex,
}: {
  state: State
  randomHex: RandomHex
}): DhcpHandlers {
  return {
    CreateDhcpOptions: async ({ caller: { account } }, input) => {
      const options = parseDhcpOptions(required('DhcpConfiguration', input.DhcpConfigurations))
      const tags = parseTagSpecifications(input.TagSpecifications, ['dhcp-options'])
      const id = await state.update(async (tx) => {
        const made = await newId(tx, randomHex, 'dhcp-options')
        await tx.put('dhcp-options', [made], { id: made, account, options })
        const owner = { kind: 'dhcp-options', id: made, account } as const
        await addTags(tx, owner, tags.get('dhcp-options') ?? new Map())
        endDryRun(input)
        return made
      })
      const view = await state.fresh()
      const record = view.get('dhcp-options', id)
      return record === null ? {} : { DhcpOptions: optionsOf(view, record) }
    },

    DescribeDhcpOptions: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const ids = (input.DhcpOptionsIds ?? []).filter((id) => id !== DEFAULT)
      const isDefaultNamed = ids.length < (input.DhcpOptionsIds?.length ?? 0)
      const records =
        isDefaultNamed && ids.length === 0 ? [] : ownedOrNamed(view, 'dhcp-options', ids, account)
      endDryRun(input)
      const shown = [...records, ...(isDefaultNamed ? [defaultOptions(account)] : [])].map((one) =>
        optionsOf(view, one),
      )
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (one: DhcpOptions): string => one.DhcpOptionsId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeDhcpOptions', input, found, cursor)
      return { DhcpOptions: [...items], NextToken: nextToken }
    },

    DeleteDhcpOptions: async ({ caller }, input) => {
      const id = required('DhcpOptionsId', input.DhcpOptionsId)
      await state.update(async (tx) => {
        await namedInStore(tx, 'dhcp-options', [id], caller.account)
        // AssociateDhcpOptions writes the options too: the mirror shows all that use them.
        const users = (await state.fresh()).by('vpc', 'dhcpOptions', id)
        if (users.length > 0) {
          const text = `The dhcpOptions '${id}' has dependencies and cannot be deleted: ${users[0]?.id}.`
          throw new ApiError('DependencyViolation', text)
        }
        endDryRun(input)
        await tx.delete('dhcp-options', id)
        await tx.delete('tags', id)
      })
      return {}
    },

    AssociateDhcpOptions: async ({ caller }, input) => {
      const id = required('DhcpOptionsId', input.DhcpOptionsId)
      const vpcId = required('VpcId', input.VpcId)
      await state.update(async (tx) => {
        if (id !== DEFAULT) {
          const [options] = await namedInStore(tx, 'dhcp-options', [id], caller.account)
          if (options !== undefined) await tx.put('dhcp-options', [id], options)
        }
        const [vpc] = await namedInStore(tx, 'vpc', [vpcId], caller.account)
        endDryRun(input)
        if (vpc !== undefined) await tx.put('vpc', [vpcId], { ...vpc, dhcpOptions: id })
      })
      return {}
    },
  }
}

function defaultOptions(account: string): DhcpOptionsRecord {
  const options = [{ key: 'domain-name-servers', values: [PROVIDED_DNS] }]
  return { id: DEFAULT, account, options }
}

function optionsOf(view: View, { id, account, options }: DhcpOptionsRecord): DhcpOptions {
  return {
    DhcpOptionsId: id,
    OwnerId: account,
    DhcpConfigurations: options.map(({ key, values }) => ({
      Key: key,
      Values: values.map((Value) => ({ Value })),
    })),
    Tags: tagList(view, id),
  }
}
