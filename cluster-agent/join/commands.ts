// The commands of `rack-join`: make this host a part of a cloud, and take it out again.

import { hostname } from 'node:os'
import { buildCommand, buildRouteMap, numberParser } from '@stricli/core'
import { answering, print, table } from '../../common/cli.ts'
import { systemClock } from '../../common/clock.ts'
import { completionRoutes } from '../../common/completion.ts'
import { MalleeError } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { isName } from '../../common/identity.ts'
import { parseInvitation } from '../../common/token.ts'
import { VOLUME_TARGETS, type VolumeTargetChoice } from '../../common/volume-target.ts'
import type { Capacity } from '../config.ts'
import { CONFIG_DEFAULTS } from '../config.ts'
import { type PathFlags, pathFlags, pathsOf } from '../flags.ts'
import type { Role } from '../role.ts'
import { parseCapacity, parseRole, publicOf, ROLES, volumePoolOf } from './arguments.ts'
import { awaitReady } from './await-ready.ts'
import { type CephFlags, cephFlags, cephOf } from './ceph-flags.ts'
import { type JoinOptions, joinCloud, planJoin } from './join.ts'
import { leaveCloud } from './leave.ts'
import { startService } from './service.ts'

const MAX_INVITATION_CHARS = 1_000

interface JoinFlags extends PathFlags, CephFlags {
  readonly plan: boolean
  readonly roles: readonly Role[]
  readonly hostName?: string
  readonly trunk?: string
  readonly publicInterface?: string
  readonly publicGateway?: string
  readonly publicGateway6?: string
  readonly endpoint?: readonly string[]
  readonly capacity?: Capacity
  readonly objectDir?: readonly string[]
  readonly volumePool?: string
  readonly volumeTarget: VolumeTargetChoice
  readonly storageAddress?: string
  readonly wireguardPort: number
  readonly sessionPort: number
  readonly joinPort: number
  readonly wait: number
  readonly host: 'real' | 'simulated'
  readonly json: boolean
}

interface LeaveFlags extends PathFlags {
  readonly drain: boolean
  readonly force: boolean
  readonly wait: number
  readonly json: boolean
}

const json = { kind: 'boolean', brief: 'Print one JSON object', default: false } as const
const text = (brief: string, placeholder: string) =>
  ({ kind: 'parsed', parse: String, brief, placeholder, optional: true }) as const
const port = (brief: string, value: number) =>
  ({
    kind: 'parsed',
    parse: numberParser,
    brief,
    placeholder: 'port',
    default: String(value),
  }) as const
const seconds = (brief: string, value: string) =>
  ({ kind: 'parsed', parse: numberParser, brief, placeholder: 's', default: value }) as const

const joinCommand = buildCommand<JoinFlags, [string]>({
  docs: {
    brief: 'Join this host to a cloud',
    fullDescription: [
      'Join this host to a cloud. Ends when the first encrypted packet of another rack came',
      'through, or, on nodes and on the first rack, when the agent has made its network.',
      '',
      'Examples:',
      '  rack-join --plan TOKEN@gateway.example     look, change nothing',
      '  rack-join TOKEN@gateway.example --roles cc,sc,nc',
      "  rack-join TOKEN@192.0.2.10 --roles nc --trunk eth1     a node: its CC's address",
      '  rack-join leave --drain',
    ].join('\n'),
  },
  parameters: {
    flags: {
      plan: { kind: 'boolean', brief: 'Show checks and changes, do nothing', default: false },
      roles: {
        kind: 'parsed',
        parse: parseRole,
        proposeCompletions: () => ROLES,
        brief: 'What this host does: cc, sc, nc; the token must allow it',
        placeholder: 'roles',
        variadic: ',',
        default: [...ROLES],
      },
      hostName: text("The host's name in the cloud; the machine's own when not given", 'name'),
      trunk: text("The NIC that joins the rack's hosts, for tenants' VLANs only", 'interface'),
      publicInterface: text("A CC's NIC for tenants' public addresses", 'interface'),
      publicGateway: text('The router behind it; IPv4', 'address'),
      publicGateway6: text('The router behind it; IPv6', 'address'),
      endpoint: {
        kind: 'parsed',
        parse: String,
        brief: "Where other racks reach this CC's WireGuard; found out when not given",
        placeholder: 'host:port',
        variadic: ',',
        optional: true,
      },
      capacity: {
        kind: 'parsed',
        parse: parseCapacity,
        brief: 'What instances may use; all of the machine when not given',
        placeholder: 'vcpus,MiB,GiB',
        optional: true,
      },
      objectDir: {
        kind: 'parsed',
        parse: String,
        brief: "An SC's disks for objects, one directory each; in the state folder when not given",
        placeholder: 'path',
        variadic: ',',
        optional: true,
      },
      volumeDir: text("An SC's folder for volumes; in the state folder when not given", 'path'),
      volumePool: text("An SC's LVM thin pool for volumes, instead of a folder", 'vg/pool'),
      ...cephFlags,
      volumeTarget: {
        kind: 'enum',
        values: VOLUME_TARGETS,
        brief: "What an SC serves volumes by: the kernel's LIO, or tgtd",
        default: 'auto',
      },
      storageAddress: text(
        "This host's address in a storage network of yours; the rack makes one when not given",
        'address',
      ),
      wireguardPort: port('UDP port of WireGuard', CONFIG_DEFAULTS.wireguardPort),
      sessionPort: port("TCP port of a CC for its nodes' sessions", CONFIG_DEFAULTS.sessionPort),
      joinPort: port('TCP port of a CC for nodes that join', CONFIG_DEFAULTS.joinPort),
      wait: seconds('Seconds to wait until the host is ready', '120'),
      host: {
        kind: 'enum',
        values: ['real', 'simulated'],
        brief: 'simulated: a model of a host in memory, for tests and experiments',
        default: 'real',
      },
      json,
      ...pathFlags,
    },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          brief: 'TOKEN@HOST or TOKEN@HOST:PORT; - reads it from standard input, unseen by ps',
          parse: String,
          placeholder: 'invitation',
        },
      ],
    },
  },
  func: (flags, invitation) => answering(flags.json, () => run(flags, invitation)),
})

const leaveCommand = buildCommand<LeaveFlags>({
  docs: {
    brief: 'Take this host out of its cloud and leave nothing behind',
    fullDescription: [
      'Take this host out of its cloud and leave nothing behind.',
      '',
      'Examples:',
      '  rack-join leave --drain --wait 3600',
      '  rack-join leave --force',
    ].join('\n'),
  },
  parameters: {
    flags: {
      drain: { kind: 'boolean', brief: 'Wait until no instance is here', default: false },
      force: {
        kind: 'boolean',
        brief: 'Leave although instances or volumes are here',
        default: false,
      },
      wait: seconds('Seconds to wait for --drain', '600'),
      json,
      ...pathFlags,
    },
  },
  func: (flags) =>
    answering(flags.json, async () => {
      const { drain, force, wait } = flags
      const options = { paths: pathsOf(flags), drain, force, timeoutMs: wait * 1000 }
      const problems = await leaveCloud(options, say)
      print(flags.json, { left: true, problems }, ['left the cloud', ...problems].join('\n'))
      if (problems.length > 0) process.exitCode = 1
    }),
})

const startCommand = buildCommand<PathFlags & { readonly wait: number; readonly json: boolean }>({
  docs: {
    brief: 'Start the agent of a host that has joined, or start it anew',
    fullDescription: [
      'Start the agent of a host that has joined, or start it anew; guests run on meanwhile.',
      '',
      'Example:',
      '  rack-join start --wait 120',
    ].join('\n'),
  },
  parameters: {
    flags: { wait: seconds('Seconds to wait until it is ready', '60'), json, ...pathFlags },
  },
  func: (flags) =>
    answering(flags.json, async () => {
      const paths = pathsOf(flags)
      await startService({ exec, paths, clock: systemClock })
      const timing = { timeoutMs: flags.wait * 1000, progress: say }
      const ready = await awaitReady({ paths, clock: systemClock }, timing)
      print(flags.json, ready, `the agent is ready after ${ready.seconds.toFixed(1)} s`)
    }),
})

export const root = buildRouteMap({
  routes: {
    join: joinCommand,
    start: startCommand,
    leave: leaveCommand,
    completion: completionRoutes('rack-join'),
  },
  defaultCommand: 'join',
  docs: { brief: 'Make this host a part of a Mallee cloud' },
})

async function run(flags: JoinFlags, invitation: string): Promise<void> {
  const host = flags.hostName ?? hostname().split('.')[0]?.toLowerCase() ?? ''
  if (!isName(host)) {
    const sentence = `host name ${JSON.stringify(host)} is not 1 to 63 lower-case letters, digits and inner hyphens: give another with --host-name`
    throw new MalleeError('BadArgument', sentence)
  }
  const options: JoinOptions = {
    invitation: parseInvitation(invitation === '-' ? await readInvitation() : invitation),
    host,
    roles: ROLES.filter((role) => flags.roles.includes(role)),
    trunk: flags.trunk ?? null,
    public: publicOf(flags),
    endpoints: flags.endpoint ?? [],
    capacity: flags.capacity ?? null,
    objectDirs: flags.objectDir ?? [],
    volumeDir: flags.volumeDir ?? null,
    volumePool: volumePoolOf(flags),
    volumeCeph: cephOf(flags),
    volumeTarget: flags.volumeTarget,
    storageAddress: flags.storageAddress ?? null,
    wireguardPort: flags.wireguardPort,
    sessionPort: flags.sessionPort,
    joinPort: flags.joinPort,
    simulated: flags.host === 'simulated',
    paths: pathsOf(flags),
  }
  say('checking this host')
  const plan = await planJoin(options)
  const rows = plan.checks.map((one) => [one.outcome, one.name, one.sentence])
  const shown = table(['', 'CHECK', ''], rows)
  if (flags.plan) {
    const changes = plan.changes.map((change) => `  ${change}`).join('\n')
    print(flags.json, plan, `${shown}\n\nJoining would make:\n${changes}`)
    if (!plan.ok) process.exitCode = 3
    return
  }
  if (!plan.ok) {
    process.stderr.write(`${shown}\n`)
    const bad = plan.checks.filter((one) => one.outcome === 'failed').map((one) => one.sentence)
    throw new MalleeError('NotAllowed', `nothing was joined: ${bad.join('; ')}`)
  }
  const config = await joinCloud(options, say)
  const clock = systemClock
  const timing = { timeoutMs: flags.wait * 1000, progress: say }
  const ready = await awaitReady({ paths: options.paths, clock }, timing)
  const across = ready.racks.length === 0 ? 'no other rack yet' : `racks ${ready.racks.join(', ')}`
  const done = `${host} is in rack ${config.rack} of ${config.cloud} after ${ready.seconds.toFixed(1)} s (${across})`
  print(flags.json, { ...config, ...ready }, done)
}

/** An argument is seen by everybody on the machine while the command runs. */
async function readInvitation(): Promise<string> {
  let given = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    given += chunk
    if (given.length > MAX_INVITATION_CHARS) {
      throw new MalleeError('TokenGarbled', 'standard input is longer than any invitation')
    }
  }
  return given.trim()
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}
