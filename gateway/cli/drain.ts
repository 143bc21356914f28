// `mallee host drain` and `mallee rack drain`: begin, look, wait until nothing is left.

import { setTimeout as sleep } from 'node:timers/promises'
import { buildCommand, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Drain } from '../local/drains.ts'
import { callLocal } from './client.ts'
import { confirm } from './confirm.ts'
import { jsonFlag, type LocalFlags, socketFlag } from './flags.ts'
import { hostName, rackName } from './names.ts'

const POLL_MS = 1_000
const MAX_WAIT_S = 30 * 86_400

interface Flags extends LocalFlags {
  readonly stop: boolean
  readonly terminate: boolean
  readonly in?: number
  readonly wait?: number
  readonly yes: boolean
}

const flags = {
  stop: { kind: 'boolean', brief: 'Stop what runs there; disks stay', default: false },
  terminate: { kind: 'boolean', brief: 'Terminate what is there; needs --yes', default: false },
  in: {
    kind: 'parsed',
    parse: numberParser,
    brief: 'Minutes until it stops or terminates; users see the time as an event',
    placeholder: 'minutes',
    optional: true,
  },
  wait: {
    kind: 'parsed',
    parse: numberParser,
    brief: 'Seconds to wait until nothing is left; fails when something is',
    placeholder: 's',
    optional: true,
  },
  yes: { kind: 'boolean', brief: 'Instances may be terminated', default: false },
  socket: socketFlag,
  json: jsonFlag,
} as const

export const drainHost = buildCommand<Flags, [string, string]>({
  docs: {
    brief: 'Place no new instances on a host, and have it emptied',
    fullDescription: [
      'Place no new instances on a host, and have it emptied. Disks are on their host, so no',
      'instance is moved: by itself a drain waits until users, or their groups, have replaced what',
      'is there, and tells them by a scheduled event (DescribeInstanceStatus). With --stop or',
      '--terminate the gateway does that instead; protected instances stay, and are named. Said',
      'again it goes on with what is said now. `mallee host uncordon` ends it.',
      '',
      'Examples:',
      '  mallee host drain a a-nc-1 --wait 3600',
      '  mallee host drain a a-nc-1 --stop --in 60',
      '  mallee host drain a a-nc-1 --terminate --yes --wait 600',
    ].join('\n'),
  },
  parameters: { flags, positional: { kind: 'tuple', parameters: [rackName, hostName] } },
  func: (given, rack, host) =>
    answering(given.json, () => {
      const path = `/v1/racks/${encodeURIComponent(rack)}/hosts/${encodeURIComponent(host)}/drain`
      return drain(given, path, host)
    }),
})

export const drainRack = buildCommand<Flags, [string]>({
  docs: {
    brief: 'Place no new instances in a rack, and have it emptied',
    fullDescription: [
      'Place no new instances in a rack, and have it emptied, as `mallee host drain` does of a',
      'host. `mallee rack undrain` ends it.',
      '',
      'Examples:',
      '  mallee rack drain a',
      '  mallee rack drain a --stop --in 1440',
    ].join('\n'),
  },
  parameters: { flags, positional: { kind: 'tuple', parameters: [rackName] } },
  func: (given, rack) =>
    answering(given.json, () =>
      drain(given, `/v1/racks/${encodeURIComponent(rack)}/drain`, `rack ${rack}`),
    ),
})

async function drain(given: Flags, path: string, what: string): Promise<void> {
  const { stop, terminate, in: minutes, wait, socket, json } = given
  if (stop && terminate)
    throw new MalleeError('BadArgument', 'it is --stop or --terminate, not both')
  if (wait !== undefined && !(wait >= 0 && wait <= MAX_WAIT_S)) {
    throw new MalleeError('BadArgument', `--wait ${wait} is not from 0 to ${MAX_WAIT_S} seconds`)
  }
  if (terminate) await confirm(given, `instances of ${what} and their disks are lost for ever`)
  const instances = stop ? 'stop' : terminate ? 'terminate' : undefined
  const call = { method: 'POST', path, body: { instances, minutes } } as const
  let now = await callLocal<Drain>(socket, call)
  const endMs = systemClock.nowMs() + (wait ?? 0) * 1_000
  for (let said = ''; !now.isDone && systemClock.nowMs() < endMs; ) {
    const sentence = leftOf(now)
    if (sentence !== said) process.stderr.write(`${sentence}\n`)
    said = sentence
    await sleep(Math.min(POLL_MS, endMs - systemClock.nowMs()))
    now = await callLocal<Drain>(socket, { method: 'GET', path })
  }
  if (wait !== undefined && !now.isDone) {
    throw new MalleeError('CommandTimeout', `after ${wait} s ${leftOf(now)}; the drain goes on`)
  }
  print(json, now, textOf(now, what))
}

function textOf(drained: Drain, what: string): string {
  const { isDone, volumes } = drained
  const bytes = volumes === 0 ? '' : `; ${volumes} volumes are there (mallee volume list)`
  const head = `${what}: ${isDone ? 'drained' : leftOf(drained)}${bytes}`
  if (drained.left.length === 0) return head
  const rows = drained.left.map((one) => [one.id, one.account, one.host, one.state, one.waitsFor])
  return `${head}\n${table(['INSTANCE', 'ACCOUNT', 'HOST', 'STATE', 'WAITS FOR'], rows)}`
}

/** `3 instances left, i-… is running and waits for users` */
function leftOf({ left }: Drain): string {
  const [first, ...others] = left.filter(({ waitsFor }) => waitsFor !== 'nothing')
  if (first === undefined) return 'nothing is left'
  const { id, state, waitsFor } = first
  return `${others.length + 1} instances left: ${id} is ${state} and waits for ${waitsFor}`
}
