// A cloud whose two racks are virtual machines with Debian's kernel: the sandbox's internet,
// gateway and public LAN, and the real commands on both sides.

import { join } from 'node:path'
import { systemClock } from '../../common/clock.ts'
import { messageOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { API_PORT } from '../../common/ports.ts'
import type { AwsTarget } from '../../sandbox/aws.ts'
import { claimWorld } from '../../sandbox/claim.ts'
import { forward } from '../../sandbox/forward.ts'
import { SandboxGateway } from '../../sandbox/gateway.ts'
import type { SandboxHost } from '../../sandbox/host.ts'
import { PUBLIC_LAN, publicAddress, uplinkOf } from '../../sandbox/net.ts'
import { GATEWAY, type WorldPlan } from '../../sandbox/plan.ts'
import { createToken, missingOf } from '../../sandbox/racks.ts'
import { until } from '../../sandbox/until.ts'
import { GATEWAY_UPLINK, wire } from '../../sandbox/wiring.ts'
import { type GuestHost, startGuest } from './guest-host.ts'
import { buildHostImage, buildProjectDisk, script } from './machine.ts'

const ROOT = join(import.meta.dirname, '../..')
const BOOT_MS = 300_000
const JOIN_MS = 600_000
const GUEST_IMAGE = join(ROOT, '.cache/guest/guest.raw')
const IMPORT = ['image', 'import', GUEST_IMAGE, '--name', 'mallee-guest']
const CABLES = ['eth0', PUBLIC_LAN.device]

/** One host a rack. Rack a's has a system Open vSwitch, rack b's agent starts its own. */
const PLAN: WorldPlan = {
  world: 'kernel',
  region: 'mallee-1',
  apiPort: 0,
  adminPort: 0,
  mtu: 1500,
  racks: [
    { name: 'a', joinsOver: 'ipv4', hosts: [{ name: 'a1', roles: ['cc', 'sc', 'nc'] }] },
    { name: 'b', joinsOver: 'ipv6', hosts: [{ name: 'b1', roles: ['cc', 'sc', 'nc'] }] },
  ],
}

export interface KernelWorld {
  readonly gateway: SandboxGateway
  readonly target: AwsTarget
  readonly guests: ReadonlyMap<string, GuestHost>
  /** A host of the sandbox, like `outside`. */
  readonly host: (name: string) => SandboxHost
  /** Puts the tiny guest's image where accounts may register it, as `mallee-guest`. */
  readonly importImage: () => Promise<unknown>
  readonly stop: () => Promise<void>
}

type Say = (line: string) => void

export async function startKernelWorld(progress: Say): Promise<KernelWorld> {
  const begunMs = systemClock.nowMs()
  const say: Say = (line) => {
    progress(`${((systemClock.nowMs() - begunMs) / 1000).toFixed(0).padStart(5)} s  ${line}`)
  }
  await buildHostImage()
  await script('guest-image.sh', '.cache/guest')
  const claim = await claimWorld(PLAN.world)
  const hosts = new Map<string, SandboxHost>()
  const guests = new Map<string, GuestHost>()
  const ends: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const guest of guests.values()) guest.close()
    for (const end of ends) await end()
    await Promise.all([...hosts.values()].map((host) => host.kill()))
    await claim.release()
  }
  try {
    const projectDisk = join(claim.dir, 'project.raw')
    await buildProjectDisk(projectDisk)
    for (const [name, host] of await wire(PLAN, silentLog)) hosts.set(name, host)
    const host = (name: string): SandboxHost => found(hosts, name)
    for (const rack of PLAN.racks) {
      const cabinet = host(rack.hosts[0].name)
      const systemOvs = rack.name === 'a'
      const options = { cabinet, cables: CABLES, projectDisk, systemOvs }
      guests.set(cabinet.name, await startGuest(options))
    }
    say('two machines boot')
    const gateway = await SandboxGateway.create(host(GATEWAY), PLAN.world, PLAN.region)
    const api = await forward(gateway.host, { port: 0, insidePort: API_PORT })
    ends.push(api.stop)
    await offerPublicAddresses(gateway, host('internet'))
    await Promise.all(
      PLAN.racks.map(async (rack, index) => {
        const guest = found(guests, rack.hosts[0].name)
        await bootOf(guest)
        say(`${guest.name} is up`)
        await address(guest, index)
        const steps = await joinGuest(guest, index, gateway)
        say(`${guest.name} has joined: ${steps.join('; ')}`)
      }),
    )
    const connected = async (): Promise<boolean> =>
      missingOf(PLAN, await gateway.status()).length === 0
    await until('both racks are connected', connected, { timeoutMs: BOOT_MS, everyMs: 500 })
    say('both are connected, and the tunnel between them has shaken hands')
    const endpoint = `http://127.0.0.1:${api.port}`
    const target = { endpoint, region: PLAN.region, credentials: gateway.credentials }
    return { gateway, target, guests, host, importImage: () => gateway.mallee(IMPORT), stop }
  } catch (error) {
    for (const guest of guests.values()) progress(await lastWords(guest))
    await stop()
    throw error
  }
}

async function offerPublicAddresses(gateway: SandboxGateway, internet: SandboxHost): Promise<void> {
  const { pool, router4, bridge } = PUBLIC_LAN
  const taken = [router4, ...PLAN.racks.map((_, index) => publicAddress(index + 1))]
  await gateway.mallee(['pool', 'create', '--cidr', pool, '--exclude', taken.join(',')])
  const { ipv6Pool } = await gateway.status()
  await internet.exec(['ip', '-6', 'route', 'add', ipv6Pool, 'dev', bridge])
}

async function bootOf(guest: GuestHost): Promise<void> {
  const late = systemClock.sleep(BOOT_MS).then(() => {
    throw new Error(`${guest.name} did not come up within ${BOOT_MS / 1000} s`)
  })
  const ended = guest.qemu.ended.then((how) => {
    throw new Error(`QEMU of ${guest.name} ${how}`)
  })
  await Promise.race([guest.up, late, ended])
}

/** What the machine room's operator sets on a host: addresses, routes, the gateway's name. */
async function address({ exec: run }: GuestHost, index: number): Promise<void> {
  const uplink = uplinkOf(index + 2)
  const own6 = `2001:db8:ffff::${(index + 1).toString(16)}00`
  const devices: [string, string[]][] = [
    [uplink.device, [`${uplink.ipv4}/24`, `${uplink.ipv6}/64`]],
    [PUBLIC_LAN.device, [`${publicAddress(index + 1)}/24`, `${own6}/64`]],
  ]
  await run(['ip', 'link', 'set', 'eth1', 'name', PUBLIC_LAN.device])
  for (const [device, addresses] of devices) {
    await run(['ip', 'link', 'set', device, 'up'])
    for (const one of addresses) {
      const nodad = one.includes(':') ? ['nodad'] : []
      await run(['ip', 'address', 'add', one, 'dev', device, ...nodad])
    }
  }
  await run(['ip', 'route', 'add', 'default', 'via', uplink.ipv4.replace(/2$/, '1')])
  await run(['ip', '-6', 'route', 'add', 'default', 'via', uplink.ipv6.replace(/2$/, '1')])
  const names = [GATEWAY_UPLINK.ipv4, GATEWAY_UPLINK.ipv6].map((one) => `${one} ${GATEWAY}\n`)
  await run(['tee', '-a', '/etc/hosts'], { input: names.join('') })
}

async function joinGuest(
  guest: GuestHost,
  index: number,
  gateway: SandboxGateway,
): Promise<string[]> {
  const rack = PLAN.racks[index]
  if (rack === undefined) throw new RangeError(`the plan has no rack ${index}`)
  const [host] = rack.hosts
  const token = await createToken(gateway, rack, host)
  const parent = rack.joinsOver === 'ipv4' ? GATEWAY_UPLINK.ipv4 : `[${GATEWAY_UPLINK.ipv6}]`
  const flags = [
    ...['--host-name', host.name, '--roles', host.roles.join(','), '--capacity', '8,4096,100'],
    ...['--public-interface', PUBLIC_LAN.device, '--public-gateway', PUBLIC_LAN.router4],
    ...['--public-gateway6', PUBLIC_LAN.router6, '--wait', `${JOIN_MS / 1000}`],
  ]
  const options = { input: `${token}@${parent}\n`, timeoutMs: JOIN_MS }
  const { stderr } = await guest.exec(['/opt/mallee/bin/rack-join', '-', ...flags], options)
  return stderr.trim().split('\n')
}

/** The ends of what a guest and its agent said, for the error that ends the world. */
async function lastWords({ name, exec: run, consoleLog }: GuestHost): Promise<string> {
  const log = '/var/lib/mallee/cluster-agent.log'
  const tail = async (of: Promise<{ stdout: string }>): Promise<string> =>
    of.then(({ stdout }) => stdout, messageOf)
  const agent = tail(run(['tail', '-n', '25', log], { timeoutMs: 10_000 }))
  return `---- ${name}\n${await tail(exec(['tail', '-n', '25', consoleLog]))}\n${await agent}`
}

function found<T>(all: ReadonlyMap<string, T>, name: string): T {
  const one = all.get(name)
  if (one === undefined) throw new RangeError(`there is no ${name}`)
  return one
}
