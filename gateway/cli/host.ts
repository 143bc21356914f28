// `mallee host …`: what is free on each host, which get no more instances, and which leave.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { HostPlace } from '../local/shown-racks.ts'
import { callLocal } from './client.ts'
import { drainHost } from './drain.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { hostName, rackName } from './names.ts'
import { noteOf } from './rack.ts'
import { removeHost } from './remove.ts'
import { show } from './show.ts'

const flags = { socket: socketFlag, json: jsonFlag }
const NAMES = {
  kind: 'tuple',
  parameters: [rackName, hostName],
} as const

const listCommand = buildCommand<LocalFlags>({
  docs: {
    brief: 'Hosts, what is free on them, and why nothing is placed there',
    fullDescription: [
      'Hosts, what is free on them, and why nothing is placed there.',
      '',
      'Example:',
      '  mallee host list --json',
    ].join('\n'),
  },
  parameters: { flags },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/hosts' } as const
      const { hosts } = await callLocal<{ hosts: readonly HostPlace[] }>(socket, call)
      const rows = hosts.map((one) => [
        one.rack,
        one.host,
        one.roles.join(','),
        one.connected ? 'connected' : 'away',
        String(one.instances),
        String(one.free?.vcpus ?? '-'),
        String(one.free?.memoryMib ?? '-'),
        String(one.free?.diskGib ?? '-'),
        one.why === '' ? 'yes' : `no: ${one.why}`,
        noteOf(one),
      ])
      const free = ['VCPUS', 'MIB', 'GIB']
      const heads = ['RACK', 'HOST', 'ROLES', 'SESSION', 'INSTANCES', ...free, 'PLACING', 'NOTE']
      print(json, { hosts }, table(heads, rows))
    }),
})

const showHost = buildCommand<LocalFlags, [string, string]>({
  docs: helped('A host, and what is free on it', 'mallee host show a a-nc-1'),
  parameters: { flags, positional: NAMES },
  func: (given, rack, host) => answering(given.json, () => show(given, pathOf(rack, host))),
})

function change(verb: 'cordon' | 'uncordon', brief: string, more: string) {
  return buildCommand<LocalFlags, [string, string]>({
    docs: {
      brief,
      fullDescription: [`${brief}. ${more}`, '', 'Example:', `  mallee host ${verb} a a-nc-1`].join(
        '\n',
      ),
    },
    parameters: { flags, positional: NAMES },
    func: ({ socket, json }, rack, host) =>
      answering(json, async () => {
        const call = { method: 'POST', path: `${pathOf(rack, host)}/${verb}` } as const
        print(json, await callLocal(socket, call), `${host}: ${verb}ed`)
      }),
  })
}

export const hostRoutes = buildRouteMap({
  routes: {
    list: listCommand,
    show: showHost,
    cordon: change(
      'cordon',
      'Place no new instances on a host',
      'Its instances run on; those that are stopped there do not start.',
    ),
    uncordon: change(
      'uncordon',
      'Place instances on a host again',
      'Undoes cordon and ends a drain; what was stopped stays so until its user starts it.',
    ),
    drain: drainHost,
    remove: removeHost,
  },
  docs: { brief: 'Hosts' },
})

function pathOf(rack: string, host: string): string {
  return `/v1/racks/${encodeURIComponent(rack)}/hosts/${encodeURIComponent(host)}`
}
