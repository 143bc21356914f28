// Keeps the gauges of racks, instances, sessions and certificates at what is so, and says whether
// this gateway is well.

import type { Clock } from '../common/clock.ts'
import { codeOf, messageOf } from '../common/errors.ts'
import type { CertificateEnds } from './certificate.ts'
import type { ImagesSeen, Sessions } from './federation/sessions.ts'
import type { ImagesMetric, Metrics, ScalingMetric } from './metrics.ts'
import type { State, View } from './store/state.ts'

const EVERY_MS = 5_000
/** WireGuard shakes hands every two minutes; a minute more and it is silent (wireguard.com). */
const SILENT_MS = 180_000

/** What keeps this gateway from answering well; empty when it is ready. */
export async function problems(state: State): Promise<string[]> {
  try {
    await state.fresh()
    return []
  } catch (error) {
    return [`the store does not answer: ${messageOf(error)}`]
  }
}

/** Returns the function that ends it. */
export function watchGauges({
  state,
  sessions,
  metrics,
  certificateEnds,
  clock,
}: {
  state: State
  sessions: Sessions
  metrics: Metrics
  certificateEnds: () => CertificateEnds
  clock: Clock
}): () => void {
  const set = (): void => {
    const view = state.view()
    const racks: Record<string, number> = {}
    const connected = new Set(
      view
        .all('host')
        .filter((host) => host.roles.includes('cc') && host.status?.connected === true)
        .map((host) => host.rack),
    )
    for (const rack of view.all('rack')) {
      const here = connected.has(rack.name) ? 'connected' : 'away'
      const name = rack.state === 'draining' ? 'draining' : here
      racks[name] = (racks[name] ?? 0) + 1
    }
    const instances: Record<string, number> = {}
    for (const { state: name } of view.all('instance')) instances[name] = (instances[name] ?? 0) + 1
    metrics.setRacks(racks)
    metrics.setInstances(instances)
    metrics.setSessions(sessions.list().length)
    metrics.setTunnels(tunnelStates(sessions, clock.nowMs()))
    metrics.setTroubledHosts(view.all('host').filter((host) => host.status?.trouble).length)
    metrics.setCordonedHosts(view.all('host').filter((host) => host.cordoned).length)
    metrics.setLeavingHosts({
      draining: view.all('host').filter((host) => host.drain !== undefined).length,
      lost: view.all('host').filter((host) => host.lostAtMs !== undefined).length,
    })
    metrics.setRackDisks(view.all('host').flatMap(({ status }) => status?.disks ?? []))
    metrics.setScaling(scalingIn(view))
    watchBalancers(view, metrics)
    metrics.setVolumes(view)
    metrics.setPeers(view, clock.nowMs())
    metrics.setVpnTunnels(view)
    metrics.setImages(imagesOn(sessions))
    metrics.setCertificates(certificateEnds())
  }
  set()
  const timer = setInterval(set, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

function scalingIn(view: View): ScalingMetric {
  const groups = view.all('scaling-group')
  const members = view.all('scaling-member')
  return {
    groups: groups.length,
    desired: groups.reduce((sum, { desired }) => sum + desired, 0),
    inService: members.filter(({ state }) => state === 'InService').length,
    failing: groups.filter(({ trouble }) => trouble !== null).length,
  }
}

function watchBalancers(view: View, metrics: Metrics): void {
  const balancers: Record<string, number> = {}
  for (const { state } of view.all('load-balancer')) {
    balancers[state] = (balancers[state] ?? 0) + 1
  }
  const nodes = view.all('balancer-node')
  const hostless = nodes.filter((node) => !view.get('interface', node.interface)?.host)
  metrics.setLoadBalancers(balancers)
  metrics.setNodesWithoutHost(hostless.length)
}

function imagesOn(sessions: Sessions): ImagesMetric {
  const images = sessions.images()
  const sum = (of: (one: ImagesSeen) => bigint): number =>
    images.reduce((all, one) => all + Number(of(one)), 0)
  return {
    keptBytes: sum(({ bytes }) => bytes),
    hits: sum(({ hits }) => hits),
    misses: sum(({ misses }) => misses),
    bytesFromParents: sum(({ bytesFromParents }) => bytesFromParents),
    bytesFromNeighbours: sum(({ bytesFromNeighbours }) => bytesFromNeighbours),
  }
}

/** How many tunnels, each counted from both ends, are heard and how many are silent. */
function tunnelStates(sessions: Sessions, nowMs: number): { up: number; silent: number } {
  const tunnels = sessions.tunnels()
  const up = tunnels.filter((one) => nowMs - one.latestHandshakeMs < SILENT_MS).length
  return { up, silent: tunnels.length - up }
}

/** The same state; how long each update takes and how it ends is measured. */
export function measured(state: State, metrics: Metrics, clock: Clock): State {
  return {
    ...state,
    update: async (change) => {
      const startMs = clock.nowMs()
      const took = (): number => (clock.nowMs() - startMs) / 1000
      try {
        const answer = await state.update(change)
        metrics.storeTransaction('ok', took())
        return answer
      } catch (error) {
        metrics.storeTransaction(codeOf(error) === 'Conflict' ? 'conflict' : 'failed', took())
        throw error
      }
    },
  }
}
