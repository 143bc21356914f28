// CreateNetworkInsightsPath, DescribeNetworkInsightsPaths, DeleteNetworkInsightsPath: questions
// that are kept, to be asked again and again.

import type { NetworkInsightsPath } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { formatAddress, parseAddress } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { InsightsPathRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { answeredBefore, keepAnswer } from './client-tokens.ts'
import { type Filterable, matching } from './filters.ts'
import { kindOfId, namedInStore, namedInView, newId } from './ids.ts'
import { badValue, endDryRun, refuseUnknown, required, unsupported } from './input.ts'
import { pageOf } from './paging.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type PathHandlers = Required<
  Pick<
    Ec2Handlers,
    'CreateNetworkInsightsPath' | 'DescribeNetworkInsightsPaths' | 'DeleteNetworkInsightsPath'
  >
>

/** AWS, "Quotas for Reachability Analyzer". */
const MAX_PATHS = 100
const MAX_PORT = 65_535
const KNOWN = new Set([
  ...['Source', 'Destination', 'SourceIp', 'DestinationIp', 'Protocol', 'DestinationPort'],
  ...['TagSpecifications', 'DryRun', 'ClientToken'],
])

const FILTERABLE: Filterable<NetworkInsightsPath> = {
  fields: {
    destination: (path) => path.Destination,
    'filter-at-source.source-address': (path) => path.SourceIp,
    'filter-at-destination.destination-address': (path) => path.DestinationIp,
    protocol: (path) => path.Protocol,
    source: (path) => path.Source,
  },
  tags: (path) => path.Tags,
}

export function insightsPathHandlers({
  state,
  randomHex,
  region,
}: {
  state: State
  randomHex: RandomHex
  region: string
}): PathHandlers {
  return {
    CreateNetworkInsightsPath: async (context, input) => {
      const { account } = context.caller
      const asked = parse(input)
      const token = required('ClientToken', input.ClientToken)
      const tags = parseTagSpecifications(input.TagSpecifications, ['insights-path'])
      const use = { context, action: 'CreateNetworkInsightsPath', token }
      const view = await state.fresh()
      checkEnds(view, asked, account)
      const count = view.by('insights-path', 'account', account).length
      const id = await state.update(async (tx) => {
        const known = await answeredBefore(tx, use)
        if (known === null && count >= MAX_PATHS) {
          const text = `The account has ${count} paths; at most ${MAX_PATHS} are allowed.`
          throw new ApiError('NetworkInsightsPathLimitExceeded', text)
        }
        endDryRun(input)
        if (known !== null) return known
        const made = await newId(tx, randomHex, 'insights-path')
        await tx.put('insights-path', [made], {
          ...asked,
          id: made,
          account,
          createdAtMs: context.nowMs,
        })
        const owner = { kind: 'insights-path', id: made, account } as const
        await addTags(tx, owner, tags.get('insights-path') ?? new Map())
        await keepAnswer(tx, use, made)
        return made
      })
      const after = await state.fresh()
      const [path] = namedInView(after, 'insights-path', [id], account)
      return { NetworkInsightsPath: path === undefined ? undefined : shown(after, region, path) }
    },

    DescribeNetworkInsightsPaths: async (context, input) => {
      const view = await state.fresh()
      const ids = input.NetworkInsightsPathIds
      const paths = ownedOrNamed(view, 'insights-path', ids, context.caller.account)
      endDryRun(input)
      const found = matching(
        paths.map((path) => shown(view, region, path)),
        input.Filters,
        FILTERABLE,
      )
      const cursor = (path: NetworkInsightsPath): string => path.NetworkInsightsPathId ?? ''
      const action = 'DescribeNetworkInsightsPaths'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { NetworkInsightsPaths: [...items], NextToken: nextToken }
    },

    DeleteNetworkInsightsPath: async (context, input) => {
      const id = required('NetworkInsightsPathId', input.NetworkInsightsPathId)
      await state.update(async (tx) => {
        await namedInStore(tx, 'insights-path', [id], context.caller.account)
        const [analysis] = (await state.fresh()).by('insights-analysis', 'path', id)
        if (analysis !== undefined) {
          const text = `${id} has the analysis ${analysis.id}; delete its analyses first.`
          throw new ApiError('AnalysisExistsForNetworkInsightsPath', text)
        }
        endDryRun(input)
        await tx.delete('insights-path', id)
        await tx.delete('tags', id)
      })
      return { NetworkInsightsPathId: id }
    },
  }
}

type Asked = Omit<InsightsPathRecord, 'id' | 'account' | 'createdAtMs'>

function parse(input: Ec2Inputs['CreateNetworkInsightsPath']): Asked {
  refuseUnknown(input, KNOWN, new Map())
  const source = required('Source', input.Source)
  const protocol = required('Protocol', input.Protocol)
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw badValue('Protocol', protocol, 'Expecting tcp or udp.')
  }
  const port = input.DestinationPort ?? null
  if (port !== null && (port < 0 || port > MAX_PORT)) {
    throw badValue('DestinationPort', port, `Expecting a port from 0 to ${MAX_PORT}.`)
  }
  return {
    source,
    destination: input.Destination ?? '',
    sourceIp: addressOf('SourceIp', input.SourceIp),
    destinationIp: addressOf('DestinationIp', input.DestinationIp),
    protocol,
    destinationPort: port,
  }
}

function addressOf(name: string, text: string | undefined): string {
  if (text === undefined || text === '') return ''
  const parsed = parseAddress(text)
  if (!parsed.ok) throw badValue(name, text, 'Expecting an IPv4 or IPv6 address.')
  return formatAddress(parsed.value)
}

/** Ends are instances, interfaces, or internet gateways together with an address behind them. */
function checkEnds(view: View, asked: Asked, account: string): void {
  for (const [name, id, address] of [
    ['Source', asked.source, asked.sourceIp],
    ['Destination', asked.destination, asked.destinationIp],
  ] as const) {
    if (id === '' && address !== '') continue
    if (id === '') {
      const text = 'The request must contain the parameter Destination or DestinationIp'
      throw new ApiError('MissingParameter', text)
    }
    const kind = kindOfId(id)
    switch (kind) {
      case 'instance':
      case 'interface':
        namedInView(view, kind, [id], account)
        break
      case 'internet-gateway':
        namedInView(view, kind, [id], account)
        if (address !== '') break
        throw unsupported(`An internet gateway as ${name} without ${name}Ip`)
      default:
        throw badValue(name, id, 'Expecting an instance, a network interface or a gateway.')
    }
  }
}

function shown(view: View, region: string, path: InsightsPathRecord): NetworkInsightsPath {
  const { id, account } = path
  return {
    NetworkInsightsPathId: id,
    NetworkInsightsPathArn: `arn:aws:ec2:${region}:${account}:network-insights-path/${id}`,
    CreatedDate: new Date(path.createdAtMs),
    Source: path.source,
    Destination: orNothing(path.destination),
    SourceIp: orNothing(path.sourceIp),
    DestinationIp: orNothing(path.destinationIp),
    Protocol: path.protocol,
    DestinationPort: path.destinationPort ?? undefined,
    Tags: tagList(view, id),
  }
}

function orNothing(text: string): string | undefined {
  return text === '' ? undefined : text
}
