// `mallee rack …` and `mallee status`: the registry of racks and the state of the cloud.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { Host } from '../local/shown-racks.ts'
import type { Status } from '../local/status.ts'
import { callLocal } from './client.ts'
import { drainRack } from './drain.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { rackName } from './names.ts'
import { removeRack } from './remove.ts'
import { showCommand } from './show.ts'

const flags = { socket: socketFlag, json: jsonFlag }

export const statusCommand = buildCommand<LocalFlags>({
  docs: helped('The cloud at a glance: instances, racks, tunnels', 'mallee status --json'),
  parameters: { flags },
  func: (given) => answering(given.json, () => showStatus(given, true)),
})

const listCommand = buildCommand<LocalFlags>({
  docs: helped('Racks and their hosts', 'mallee rack list'),
  parameters: { flags },
  func: (given) => answering(given.json, () => showStatus(given, false)),
})

const undrainCommand = buildCommand<LocalFlags, [string]>({
  docs: helped('Place instances in a rack again, and end its drain', 'mallee rack undrain a'),
  parameters: { flags, positional: { kind: 'tuple', parameters: [rackName] } },
  func: ({ socket, json }, rack) =>
    answering(json, async () => {
      const path = `/v1/racks/${encodeURIComponent(rack)}/undrain`
      print(json, await callLocal(socket, { method: 'POST', path }), `${rack}: undrained`)
    }),
})

export const rackRoutes = buildRouteMap({
  routes: {
    list: listCommand,
    show: showCommand('A rack and its hosts', 'mallee rack show a', rackName, '/v1/racks'),
    drain: drainRack,
    undrain: undrainCommand,
    remove: removeRack,
  },
  docs: { brief: 'Racks' },
})

async function showStatus({ socket, json }: LocalFlags, whole: boolean): Promise<void> {
  const status = await callLocal<Status>(socket, { method: 'GET', path: '/v1/status' })
  const rows = status.racks.flatMap((rack) =>
    rack.hosts.map((host) => [
      rack.name,
      rack.state,
      host.host,
      host.roles.join(','),
      host.connected ? 'connected' : 'away',
      String(host.instances),
      String(host.vcpus ?? 0),
      noteOf(host),
    ]),
  )
  const heads = ['RACK', 'STATE', 'HOST', 'ROLES', 'SESSION', 'INSTANCES', 'VCPUS', 'NOTE']
  const hosts = table(heads, rows)
  if (!whole) return print(json, { racks: status.racks }, hosts)
  const instances = Object.entries(status.instances).map(([name, n]) => `${n} ${name}`)
  const tunnels = status.tunnels.map((one) => {
    const at = one.latestHandshakeMs
    const when = at === 0 ? 'no handshake yet' : `handshake ${new Date(at).toISOString()}`
    return `${one.fromRack} to ${one.toRack}: ${when}`
  })
  const head = `Cloud ${status.cloud}, region ${status.region}, fabric ${status.fabric}`
  const { ca, gateway } = status.certificates
  const until = `Certificates: CA until ${dayOf(ca)}, this gateway's until ${dayOf(gateway)}`
  const counts = `Instances: ${instances.join(', ') || 'none'}`
  print(json, status, [head, until, counts, '', hosts, '', ...tunnels].join('\n').trimEnd())
}

function dayOf({ notAfterMs }: { readonly notAfterMs: number }): string {
  return new Date(notAfterMs).toISOString().slice(0, 10)
}

/** What is special about a host, for its line in a table. */
export function noteOf(
  host: Pick<Host, 'simulated' | 'cordoned' | 'drained' | 'lost' | 'trouble' | 'volumes'>,
): string {
  const { simulated, cordoned, drained, lost, trouble, volumes } = host
  const mark = lost ? 'lost' : drained ? 'being drained' : cordoned && 'cordoned'
  const bare = volumes !== undefined && volumes.sizeBytes > 0 && !volumes.snapshots
  const notes = [simulated && 'simulated', mark, bare && 'volumes without snapshots', trouble]
  return notes.filter(Boolean).join('; ')
}
