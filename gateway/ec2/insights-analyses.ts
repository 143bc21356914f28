// StartNetworkInsightsAnalysis, DescribeNetworkInsightsAnalyses, DeleteNetworkInsightsAnalysis:
// what `mallee why` says of a path, at the moment when it was asked.

import type { Explanation, NetworkInsightsAnalysis, PathComponent } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { codeOf, messageOf } from '../../common/errors.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers } from '../aws/handlers.ts'
import { type Finding, why } from '../control/why.ts'
import type { Step } from '../control/why-guards.ts'
import type { InsightsAnalysisRecord, InsightsPathRecord } from '../store/network-records.ts'
import type { State, View } from '../store/state.ts'
import { answeredBefore, keepAnswer } from './client-tokens.ts'
import { type Filterable, matching } from './filters.ts'
import { kindOfId, namedInStore, namedInView, newId, resourceTypeOf } from './ids.ts'
import { endDryRun, refuseUnknown, required } from './input.ts'
import { pageOf } from './paging.ts'
import { addTags, parseTagSpecifications, tagList } from './tagging.ts'
import { ownedOrNamed } from './vpcs.ts'

type AnalysisHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'StartNetworkInsightsAnalysis'
    | 'DescribeNetworkInsightsAnalyses'
    | 'DeleteNetworkInsightsAnalysis'
  >
>

/** AWS, "Quotas for Reachability Analyzer". */
const MAX_ANALYSES = 1_000
const KNOWN = new Set(['NetworkInsightsPathId', 'TagSpecifications', 'DryRun', 'ClientToken'])

const FILTERABLE: Filterable<NetworkInsightsAnalysis> = {
  fields: {
    'path-found': (analysis) => analysis.NetworkPathFound,
    status: (analysis) => analysis.Status,
  },
  tags: (analysis) => analysis.Tags,
}

export function insightsAnalysisHandlers({
  state,
  randomHex,
  region,
}: {
  state: State
  randomHex: RandomHex
  region: string
}): AnalysisHandlers {
  return {
    StartNetworkInsightsAnalysis: async (context, input) => {
      refuseUnknown(input, KNOWN, new Map())
      const { account } = context.caller
      const pathId = required('NetworkInsightsPathId', input.NetworkInsightsPathId)
      const token = required('ClientToken', input.ClientToken)
      const tags = parseTagSpecifications(input.TagSpecifications, ['insights-analysis'])
      const use = { context, action: 'StartNetworkInsightsAnalysis', token }
      const view = await state.fresh()
      const count = view.by('insights-analysis', 'account', account).length
      const id = await state.update(async (tx) => {
        const known = await answeredBefore(tx, use)
        const [path] = await namedInStore(tx, 'insights-path', [pathId], account)
        if (known === null && count >= MAX_ANALYSES) {
          const text = `The account has ${count} analyses; at most ${MAX_ANALYSES} are allowed.`
          throw new ApiError('NetworkInsightsAnalysisLimitExceeded', text)
        }
        endDryRun(input)
        if (known !== null || path === undefined) return known ?? ''
        // Deleting the path asks for its analyses: one of the two is first.
        await tx.put('insights-path', [path.id], path)
        const made = await newId(tx, randomHex, 'insights-analysis')
        const finding = findingOf(view, path)
        await tx.put('insights-analysis', [made], {
          id: made,
          account,
          path: path.id,
          startedAtMs: context.nowMs,
          reachable: finding.passes,
          findings: JSON.stringify(finding),
        })
        const owner = { kind: 'insights-analysis', id: made, account } as const
        await addTags(tx, owner, tags.get('insights-analysis') ?? new Map())
        await keepAnswer(tx, use, made)
        return made
      })
      const after = await state.fresh()
      const [analysis] = namedInView(after, 'insights-analysis', [id], account)
      const answer = analysis === undefined ? undefined : shown(after, region, analysis)
      return { NetworkInsightsAnalysis: answer }
    },

    DescribeNetworkInsightsAnalyses: async (context, input) => {
      const view = await state.fresh()
      const { account } = context.caller
      const { NetworkInsightsPathId: path, AnalysisStartTime: first, AnalysisEndTime: last } = input
      if (path !== undefined) namedInView(view, 'insights-path', [path], account)
      const all = ownedOrNamed(view, 'insights-analysis', input.NetworkInsightsAnalysisIds, account)
      endDryRun(input)
      const asked = all.filter(
        (one) =>
          (path === undefined || one.path === path) &&
          (first === undefined || one.startedAtMs >= first.getTime()) &&
          (last === undefined || one.startedAtMs <= last.getTime()),
      )
      const found = matching(
        asked.map((one) => shown(view, region, one)),
        input.Filters,
        FILTERABLE,
      )
      const cursor = (one: NetworkInsightsAnalysis): string => one.NetworkInsightsAnalysisId ?? ''
      const action = 'DescribeNetworkInsightsAnalyses'
      const { items, nextToken } = pageOf(context, action, input, found, cursor)
      return { NetworkInsightsAnalyses: [...items], NextToken: nextToken }
    },

    DeleteNetworkInsightsAnalysis: async (context, input) => {
      const id = required('NetworkInsightsAnalysisId', input.NetworkInsightsAnalysisId)
      await state.update(async (tx) => {
        await namedInStore(tx, 'insights-analysis', [id], context.caller.account)
        endDryRun(input)
        await tx.delete('insights-analysis', id)
        await tx.delete('tags', id)
      })
      return { NetworkInsightsAnalysisId: id }
    },
  }
}

/** An address names its end more closely than the instance that has it. */
function findingOf(view: View, path: InsightsPathRecord): Finding {
  try {
    return why(view, {
      from: path.sourceIp === '' ? path.source : path.sourceIp,
      to: path.destinationIp === '' ? path.destination : path.destinationIp,
      protocol: path.protocol,
      port: path.destinationPort,
      account: path.account,
    })
  } catch (error) {
    if (codeOf(error) === null) throw error
    throw new ApiError('InvalidParameterValue', `${path.id} has no answer: ${messageOf(error)}.`)
  }
}

function shown(view: View, region: string, one: InsightsAnalysisRecord): NetworkInsightsAnalysis {
  const { id, account } = one
  const { steps } = JSON.parse(one.findings) as Finding
  const arn = arnOf(region, account)
  const way = (direction: Step['direction']): PathComponent[] =>
    steps
      .filter((step) => step.direction === direction)
      .map((step, i) => ({ SequenceNumber: i + 1, Component: componentOf(arn, step) }))
  return {
    NetworkInsightsAnalysisId: id,
    NetworkInsightsAnalysisArn: `arn:aws:ec2:${region}:${account}:network-insights-analysis/${id}`,
    NetworkInsightsPathId: one.path,
    StartDate: new Date(one.startedAtMs),
    Status: 'succeeded',
    NetworkPathFound: one.reachable,
    // AWS shows the way only when there is one; how far it went is in the explanations.
    ForwardPathComponents: one.reachable ? way('forward') : [],
    ReturnPathComponents: one.reachable ? way('reply') : [],
    Explanations: steps.filter((step) => !step.passes).map((step) => explained(arn, step)),
    Tags: tagList(view, id),
  }
}

type Arn = (id: string) => { Id: string; Arn?: string }

/** What has an ARN gets it; a rack is a place. */
function arnOf(region: string, account: string): Arn {
  return (id) => {
    const kind = kindOfId(id)
    if (kind === null) return { Id: id }
    return { Id: id, Arn: `arn:aws:ec2:${region}:${account}:${resourceTypeOf(kind)}/${id}` }
  }
}

function componentOf(arn: Arn, { at, text }: Step): PathComponent['Component'] {
  return { ...arn(at), Name: text }
}

function explained(arn: Arn, step: Step): Explanation {
  const component = componentOf(arn, step)
  return {
    ExplanationCode: step.code,
    Direction: step.side,
    Component: component,
    ...detail(step.at, component),
  }
}

function detail(id: string, component: PathComponent['Component']): Explanation {
  switch (kindOfId(id)) {
    case 'security-group':
      return { SecurityGroups: component === undefined ? [] : [component] }
    case 'network-acl':
      return { Acl: component }
    case 'route-table':
      return { RouteTable: component }
    case 'interface':
      return { NetworkInterface: component }
    case 'internet-gateway':
      return { InternetGateway: component }
    case 'nat-gateway':
      return { NatGateway: component }
    case 'subnet':
      return { Subnet: component }
    case 'vpc':
      return { Vpc: component }
    case 'vpn-connection':
      return { VpnConnection: component }
    case 'vpn-gateway':
      return { VpnGateway: component }
    default:
      return {}
  }
}
