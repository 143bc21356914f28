// What a node says of its targets, out of what HAProxy says of its servers.

import { create } from '@bufbuild/protobuf'
import { TargetState, TargetStatusSchema } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { type Status, StatusSchema } from '../../../proto/gen/mallee/v1/observed_pb.js'
import type { ServerStat } from '../../host/haproxy.ts'
import { serverName } from './haproxy-config.ts'
import { type GroupServers, groupServers } from './servers.ts'
import { type NodeWanted, type TargetWanted, targetKey } from './wanted.ts'

export interface Health {
  readonly state: TargetState
  readonly reason: string
  readonly timedOut: boolean
  readonly httpStatus: number
  readonly sinceMs: number
}

type Trouble = Pick<Health, 'reason' | 'timedOut' | 'httpStatus'>

const FINE: Trouble = { reason: '', timedOut: false, httpStatus: 0 }

/** By status key, the health of all targets of a node; `before` is what was known. */
export function healthOf(
  node: NodeWanted,
  stats: readonly ServerStat[],
  before: ReadonlyMap<string, Health>,
  nowMs: number,
): Map<string, Health> {
  const after = new Map<string, Health>()
  for (const group of node.groups) {
    const seen = groupServers(group.id, stats)
    for (const target of group.targets) {
      const key = targetKey(node.interfaceId, group.id, target)
      after.set(key, targetHealth(serverName(target), seen, before.get(key), nowMs))
    }
  }
  return after
}

export function targetStatuses(node: NodeWanted, health: ReadonlyMap<string, Health>): Status[] {
  return node.groups.flatMap(({ id, targets }) =>
    targets.flatMap(({ address, port }) => {
      const key = targetKey(node.interfaceId, id, { address, port })
      const known = health.get(key)
      if (known === undefined) return []
      const about = { targetGroupId: id, address, port, interfaceId: node.interfaceId }
      const sinceMs = BigInt(known.sinceMs)
      const value = create(TargetStatusSchema, { ...about, ...known, sinceMs })
      return [create(StatusSchema, { key, body: { case: 'target', value } })]
    }),
  )
}

/** Those that get new connections: the well ones, or all when none is. */
export function usableTargets(
  node: NodeWanted,
  groupId: string,
  health: ReadonlyMap<string, Health>,
): TargetWanted[] {
  const group = node.groups.find(({ id }) => id === groupId)
  const open = (group?.targets ?? []).filter(({ draining }) => !draining)
  const well = open.filter((target) => {
    const key = targetKey(node.interfaceId, groupId, target)
    return health.get(key)?.state === TargetState.HEALTHY
  })
  return well.length > 0 ? well : open
}

function targetHealth(
  name: string,
  { checked, trial }: GroupServers,
  before: Health | undefined,
  nowMs: number,
): Health {
  const stat = checked.get(name)
  const state = stat === undefined ? TargetState.INITIAL : stateOf(stat, before)
  const trouble =
    state === TargetState.UNHEALTHY
      ? (troubleOf(stat) ?? troubleOf(trial.get(name)) ?? before ?? FINE)
      : FINE
  const { reason, timedOut, httpStatus } = trouble
  const sinceMs = before?.state === state ? before.sinceMs : nowMs
  return { state, reason, timedOut, httpStatus, sinceMs }
}

function stateOf({ status }: ServerStat, before: Health | undefined): TargetState {
  if (/^(UP|DRAIN)/.test(status)) return TargetState.HEALTHY
  if (status.startsWith('DOWN')) return TargetState.UNHEALTHY
  return before?.state ?? TargetState.INITIAL
}

/** Null when the last check says nothing of a trouble. */
function troubleOf(stat: ServerStat | undefined): Trouble | null {
  const { check = '', httpStatus = 0, said = '' } = stat ?? {}
  if (check === '' || check.endsWith('OK') || check.endsWith('OKC')) return null
  if (check.endsWith('TOUT')) {
    return { ...FINE, reason: 'no answer within the time limit', timedOut: true }
  }
  if (check === 'L7STS') return { ...FINE, reason: `HTTP status ${httpStatus}`, httpStatus }
  return { ...FINE, reason: said === '' ? check : said }
}
