// `mallee host remove` and `mallee rack remove`: what is empty goes, and so does what is lost.

import { buildCommand } from '@stricli/core'
import { answering, print } from '../../common/cli.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Removed } from '../local/racks.ts'
import type { HostPlace, Rack } from '../local/shown-racks.ts'
import type { VolumeShown } from '../local/volumes.ts'
import { callLocal } from './client.ts'
import { confirm } from './confirm.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { hostName, rackName } from './names.ts'

/** A rack of thousands of instances takes a while. */
const LONGEST_MS = 30 * 60_000
const PROGRESS_MS = 1_000

interface Flags extends LocalFlags {
  readonly lost: boolean
  readonly yes: boolean
}

const flags = {
  lost: {
    kind: 'boolean',
    brief: 'It never comes back: terminate what was there; needs --yes',
    default: false,
  },
  yes: { kind: 'boolean', brief: 'Instances, their disks, and volumes are lost', default: false },
  socket: socketFlag,
  json: jsonFlag,
} as const

export const removeHost = buildCommand<Flags, [string, string]>({
  docs: {
    brief: 'Take a host without instances, or one that is lost, out of the cloud',
    fullDescription: [
      'Take a host without instances, or one that is lost, out of the cloud. Its certificate is',
      'refused from then on, its numbers rest in quarantine. A host with volumes stays. With --lost',
      'its instances become terminated and its volumes are in error, with reasons that say so. See',
      'that a lost host is off: what still runs there would have the addresses of others. While it',
      'is connected it must be drained, and its volumes deleted, before.',
      '',
      'Examples:',
      '  mallee host remove a a-nc-1',
      '  mallee host remove a a-nc-1 --lost --yes',
    ].join('\n'),
  },
  parameters: { flags, positional: { kind: 'tuple', parameters: [rackName, hostName] } },
  func: (given, rack, host) =>
    answering(given.json, () => {
      const path = `/v1/racks/${encodeURIComponent(rack)}/hosts/${encodeURIComponent(host)}`
      const count = async (): Promise<number> => {
        const call = { method: 'GET', path } as const
        return (await callLocal<HostPlace>(given.socket, call)).instances
      }
      const isThere = (one: VolumeShown): boolean => one.rack === rack && one.host === host
      return remove(given, { path, name: host, count, isThere })
    }),
})

export const removeRack = buildCommand<Flags, [string]>({
  docs: {
    brief: 'Take a rack without instances, or one that is lost, out of the cloud',
    fullDescription: [
      'Take a rack without instances, or one that is lost, out of the cloud, with all its hosts and',
      'subnets. With --lost its instances become terminated, as `mallee host remove` says.',
      '',
      'Examples:',
      '  mallee rack remove a',
      '  mallee rack remove a --lost --yes',
    ].join('\n'),
  },
  parameters: { flags, positional: { kind: 'tuple', parameters: [rackName] } },
  func: (given, rack) =>
    answering(given.json, () => {
      const path = `/v1/racks/${encodeURIComponent(rack)}`
      const count = async (): Promise<number> => {
        const { hosts } = await callLocal<Rack>(given.socket, { method: 'GET', path })
        return hosts.reduce((sum, { instances }) => sum + instances, 0)
      }
      const isThere = (one: VolumeShown): boolean => one.rack === rack && one.host !== ''
      return remove(given, { path, name: `rack ${rack}`, count, isThere })
    }),
})

interface Leaving {
  readonly path: string
  readonly name: string
  /** How many instances are there. */
  readonly count: () => Promise<number>
  readonly isThere: (volume: VolumeShown) => boolean
}

async function remove(given: Flags, { path, name, count, isThere }: Leaving): Promise<void> {
  const { lost, yes, socket, json } = given
  if (yes && !lost) {
    throw new MalleeError('BadArgument', '--yes belongs to --lost: nothing is lost without it')
  }
  const call = { method: 'DELETE', path, timeoutMs: LONGEST_MS } as const
  if (!lost) {
    print(json, await callLocal<Removed>(socket, call), `${name}: removed`)
    return
  }
  const instances = await count()
  const list = { method: 'GET', path: '/v1/volumes' } as const
  const { volumes } = await callLocal<{ volumes: readonly VolumeShown[] }>(socket, list)
  const bytes = volumes.filter(isThere).length
  const there = `${instances} instances of ${name} and their disks`
  const what = bytes === 0 ? there : `${there}, and ${bytes} volumes,`
  await confirm(given, `${what} are lost for ever`)
  const timer = setInterval(() => {
    const say = (left: number) => process.stderr.write(`${left} instances left\n`)
    // Gone meanwhile: the answer itself is on its way.
    count().then(say, () => undefined)
  }, PROGRESS_MS)
  const lostCall = { ...call, path: `${path}?lost=true` }
  const removed = await callLocal<Removed>(socket, lostCall).finally(() => clearInterval(timer))
  const gone = removed.terminated.map((id) => `  ${id}: terminated`)
  print(json, removed, [`${name}: removed`, ...gone].join('\n'))
}
