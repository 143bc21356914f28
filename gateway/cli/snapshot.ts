// `mallee snapshot …`: how the storage of snapshots' bytes is.

import { buildCommand, buildRouteMap } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import type { SnapshotStorageShown } from '../local/snapshots.ts'
import { callLocal } from './client.ts'
import { helped, jsonFlag, type LocalFlags, socketFlag, spanOf } from './flags.ts'

const reportCommand = buildCommand<LocalFlags>({
  docs: helped(
    "How far the scrubber of snapshots' bytes is, and which of them are damaged",
    'mallee snapshot report',
  ),
  parameters: { flags: { socket: socketFlag, json: jsonFlag } },
  func: ({ socket, json }) =>
    answering(json, async () => {
      const call = { method: 'GET', path: '/v1/snapshot-storage' } as const
      const answer = await callLocal<SnapshotStorageShown>(socket, call)
      print(json, answer, linesOf(answer).join('\n'))
    }),
})

function linesOf({ scrub, damage }: SnapshotStorageShown): string[] {
  const round =
    scrub === null
      ? 'has not begun'
      : `${scrub.items} blocks and pages ${spanOf(scrub)}, ${scrub.skipped} skipped`
  return [
    `scrubber: ${round}`,
    `damaged: ${damage.length}`,
    ...damage.flatMap(({ kind, sha256, what, snapshots }) => [
      `  ${kind} ${sha256}: ${what}`,
      ...snapshots.map(({ id, block }) => `    ${id} from block ${block} on`),
    ]),
  ]
}

export const snapshotRoutes = buildRouteMap({
  routes: { report: reportCommand },
  docs: { brief: "Where snapshots' bytes are" },
})
