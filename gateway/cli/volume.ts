// `mallee volume …`: volumes of all accounts, where their bytes are, and who has them.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import type { VolumeShown } from '../local/volumes.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { volumeName } from './names.ts'
import { showCommand } from './show.ts'

const HEADS = [
  ...['VOLUME', 'ACCOUNT', 'RACK', 'HOST', 'TYPE', 'GIB', 'USED', 'STATE', 'INSTANCES', 'NOTE'],
]

const listCommand = buildCommand<LocalFlags>({
  docs: helped(
    'Volumes of all accounts, the hosts that have their bytes, and the bytes that they take there',
    'mallee volume list',
  ),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/volumes' } as const
      const answer = await callLocal<{ volumes: readonly VolumeShown[] }>(socket, call)
      const rows = answer.volumes.map((one) => [
        ...[one.id, one.account, one.rack, one.host === '' ? '-' : one.host, one.type],
        ...[String(one.sizeGib), String(one.usedBytes ?? '-'), one.state],
        one.attachments.map(({ instance }) => instance).join(','),
        noteOf(one),
      ])
      print(json, answer, table(HEADS, rows))
    }),
})

export const volumeRoutes = buildRouteMap({
  routes: {
    list: listCommand,
    show: showCommand(
      'A volume, where its bytes are, and who has it',
      'mallee volume show vol-0123456789abcdef0',
      volumeName,
      '/v1/volumes',
    ),
  },
  docs: { brief: 'Volumes and where their bytes are' },
})

/** What is wrong, first of itself, then of what has it; else what it waits for. */
function noteOf({ reason, attachments, missingBytes }: VolumeShown): string {
  const trouble = reason || attachments.find((one) => one.trouble !== '')?.trouble
  return trouble || (missingBytes > 0 ? `${missingBytes} bytes of its snapshot are to come` : '')
}
