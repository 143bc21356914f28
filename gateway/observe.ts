// Keeps the gauges of racks, instances, sessions and certificates at what is so.

import type { CertificateEnds } from './certificate.ts'
import type { Sessions } from './federation/sessions.ts'
import type { Metrics } from './metrics.ts'
import type { State } from './store/state.ts'

const EVERY_MS = 5_000

/** Returns the function that ends it. */
export function watchGauges({
  state,
  sessions,
  metrics,
  certificateEnds,
}: {
  state: State
  sessions: Sessions
  metrics: Metrics
  certificateEnds: () => CertificateEnds
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
    metrics.setTroubledHosts(view.all('host').filter((host) => host.status?.trouble).length)
    metrics.setCertificates(certificateEnds())
  }
  set()
  const timer = setInterval(set, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
