// `mallee cloud …`: settings of the whole cloud.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import type { CloudSettings } from '../local/cloud.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { show } from './show.ts'

interface Flags extends LocalFlags {
  readonly vlanScope?: 'cloud' | 'rack'
  readonly spot?: 'on-demand' | 'refused'
}

const setCommand = buildCommand<Flags>({
  docs: {
    brief: 'Change a setting of the cloud',
    fullDescription: [
      'Change a setting of the cloud. With --vlan-scope rack a VLAN tag belongs to one rack, so',
      'that the cloud may have more networks than tags; networks keep the tags that they have.',
      'There is no way back. With --spot refused no spot instance is started; with on-demand',
      'they are, on usual capacity.',
      '',
      'Examples:',
      '  mallee cloud set --vlan-scope rack',
      '  mallee cloud set --spot refused',
    ].join('\n'),
  },
  parameters: {
    flags: {
      vlanScope: {
        kind: 'enum',
        values: ['cloud', 'rack'],
        brief: 'Whose the VLAN tags are',
        optional: true,
      },
      spot: {
        kind: 'enum',
        values: ['on-demand', 'refused'],
        brief: 'What spot instances are',
        optional: true,
      },
      socket: socketFlag,
      json: jsonFlag,
    },
  },
  func: ({ vlanScope, spot, socket, json }) =>
    answering(json, async () => {
      const call = { method: 'PUT', path: '/v1/cloud', body: { vlanScope, spot } } as const
      const now = await callLocal<CloudSettings>(socket, call)
      print(json, now, `VLAN scope: ${now.vlanScope}; spot instances: ${now.spot}`)
    }),
})

const showSettings = buildCommand<LocalFlags>({
  docs: helped('Settings of the cloud', 'mallee cloud show'),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: (flags) => answering(flags.json, () => show(flags, '/v1/cloud')),
})

export const cloudRoutes = buildRouteMap({
  routes: { show: showSettings, set: setCommand },
  docs: { brief: 'Settings of the whole cloud' },
})
