// `mallee cloud set`: settings of the whole cloud.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import { callLocal } from './client.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'

interface Flags extends LocalFlags {
  readonly vlanScope: 'cloud' | 'rack'
}

const setCommand = buildCommand<Flags>({
  docs: {
    brief: 'Change a setting of the cloud',
    fullDescription: [
      'Change a setting of the cloud. With --vlan-scope rack a VLAN tag belongs to one rack, so',
      'that the cloud may have more networks than tags; networks keep the tags that they have.',
      'There is no way back.',
      '',
      'Example:',
      '  mallee cloud set --vlan-scope rack',
    ].join('\n'),
  },
  parameters: {
    flags: {
      vlanScope: {
        kind: 'enum',
        values: ['cloud', 'rack'],
        brief: 'Whose the VLAN tags are',
      },
      socket: socketFlag,
      json: jsonFlag,
    },
  },
  func: ({ vlanScope, socket, json }) =>
    answering(json, async () => {
      const call = { method: 'PUT', path: '/v1/cloud', body: { vlanScope } } as const
      print(json, await callLocal(socket, call), `VLAN scope: ${vlanScope}`)
    }),
})

export const cloudRoutes = buildRouteMap({
  routes: { set: setCommand },
  docs: { brief: 'Settings of the whole cloud' },
})
