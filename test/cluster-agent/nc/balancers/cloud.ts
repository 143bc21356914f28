// A rack of two hosts with a load balancer's node on the first one, and stations as its targets and
// clients: everything of the host's agent that a node needs, with real packets.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { tapName } from '../../../../cluster-agent/host/tap.ts'
import { Balancers } from '../../../../cluster-agent/nc/balancers/balancers.ts'
import { oldPortsReconciler, portsReconciler } from '../../../../cluster-agent/nc/ports.ts'
import { wantedNodeNics } from '../../../../cluster-agent/nc/wanted.ts'
import { systemClock } from '../../../../common/clock.ts'
import { silentLog } from '../../../../common/log.ts'
import { reconcileOnce } from '../../../../common/reconcile.ts'
import {
  BalancerProtocol,
  BalancerSchema,
  CheckProtocol,
  type HealthCheckSchema,
  TargetGroupSchema,
  TargetSchema,
  TargetState,
} from '../../../../proto/gen/mallee/v1/balancers_pb.js'
import { InterfaceSchema, type Resource } from '../../../../proto/gen/mallee/v1/desired_pb.js'
import { type Desired, resource } from '../../../../proto/resources.ts'
import { until } from '../../../../sandbox/until.ts'
import { applyFlows, type Host, inside, nicOf, type Station, startRack } from '../stations.ts'
import { TALK } from '../talk.ts'
import { tenancy } from '../tenancy.ts'
import { WEB } from './web.ts'

export const NODE = { ipv4: '10.1.1.50', ipv6: 'fd10:1:1::50', mac: '02:00:00:00:00:50' }
export const NETNS = 'mallee-lb-eni-lb'
/** Where targets serve. */
export const PORT = 90
const ANSWERED_MS = 8_000
const SILENT_MS = 800

export interface Wish {
  /** `2`, `2 drain`, `11 ipv6`: a station, and what about it. */
  readonly targets: readonly string[]
  /** `tcp 80`, `udp 53`, `both 53`; TCP on port 80 when not given. */
  readonly listeners?: readonly string[]
  readonly group?: Pick<MessageInitShape<typeof TargetGroupSchema>, GroupOption>
  readonly check?: MessageInitShape<typeof HealthCheckSchema>
  /** Of the node's interface. */
  readonly groupIds?: readonly string[]
  /** As tenancy's. */
  readonly groups?: Readonly<Record<string, readonly string[]>>
}

type GroupOption =
  | 'sourceIpStickiness'
  | 'proxyProtocolV2'
  | 'connectionTermination'
  | 'unhealthyTermination'

const PROTOCOLS = {
  tcp: BalancerProtocol.TCP,
  udp: BalancerProtocol.UDP,
  both: BalancerProtocol.TCP_UDP,
}
/** Quick, as a test has no time: EC2's shortest interval is longer. */
const CHECK = { intervalS: 1, timeoutS: 1, healthyThreshold: 2, unhealthyThreshold: 2 }
const HTTP = { ...CHECK, protocol: CheckProtocol.HTTP, path: '/health', codes: ['200', '202-299'] }

export interface Held {
  readonly answers: () => string
  /** Says something through it and waits until that comes back. */
  readonly says: (text: string) => Promise<void>
  readonly closed: () => Promise<void>
}

export class Cloud {
  readonly hosts: Host[]
  balancers: Balancers
  readonly #stations: readonly Station[]
  readonly #dir: string
  #last: Desired = new Map()
  /** As it was told last: by then new flows go where it says. */
  #told: readonly string[] = []
  #held = 0

  private constructor(dir: string, hosts: Host[], stations: readonly Station[]) {
    this.hosts = hosts
    this.#dir = dir
    this.#stations = stations
    this.balancers = this.#newBalancers()
  }

  static async start(dir: string, stations: readonly Station[]): Promise<Cloud> {
    const cloud = new Cloud(dir, await startRack(dir, stations), stations)
    for (const one of stations) await cloud.serve(one)
    return cloud
  }

  async stop(): Promise<void> {
    await this.balancers.close()
    for (const host of this.hosts) await host.stop()
  }

  get one(): Host {
    return this.hosts[0] as Host
  }

  /** What a station's checks are answered; its server reads it each time. */
  says(one: Station, status: string): void {
    writeFileSync(this.#statusFile(one), status)
  }

  async serve(one: Station): Promise<void> {
    this.says(one, '200')
    const host = this.hosts[one.home] as Host
    const argv = [process.execPath, WEB, 'serve', `s${one.n}`, `${PORT}`, this.#statusFile(one)]
    const detached = ['setsid', '--fork', 'ip', 'netns', 'exec', `g${one.n}`, ...argv]
    await host.exec(detached, { outputFile: join(host.paths.stateDir, `web${one.n}.log`) })
    await until(`s${one.n} serves`, async () => {
      const { stdout } = await inside(host, one, ['ss', '-Hltn', `sport = :${PORT}`])
      return stdout.trim() !== ''
    })
  }

  /** The same for checks over HTTPS, with a certificate that nobody vouches for. */
  async serveSecurely(one: Station, port: number): Promise<void> {
    const host = this.hosts[one.home] as Host
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(this.#dir, name))
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const made = ['-keyout', key ?? '', '-out', cert ?? '', '-subj', '/CN=nobody']
    await host.exec(['openssl', 'req', '-x509', ...kind, ...made])
    const argv = [process.execPath, WEB, 'secure', `${port}`, this.#dir, this.#statusFile(one)]
    const detached = ['setsid', '--fork', 'ip', 'netns', 'exec', `g${one.n}`, ...argv]
    await host.exec(detached, { outputFile: join(host.paths.stateDir, `secure${one.n}.log`) })
  }

  /** As if the process had died: its port refuses. */
  async kill(one: Station): Promise<void> {
    const host = this.hosts[one.home] as Host
    const { stdout } = await inside(host, one, ['ss', '-Hltnp', `sport = :${PORT}`])
    const pid = /pid=(\d+)/.exec(stdout)?.[1] ?? ''
    await host.exec(['kill', '-KILL', pid])
  }

  /** A connection that is kept; `file` is what it says, and `answers` what it hears. */
  async hold(from: Station, to: string, port: number): Promise<Held> {
    this.#held += 1
    const [words, answers] = ['words', 'answers'].map((name) => {
      return join(this.#dir, `${name}${this.#held}`)
    }) as [string, string]
    writeFileSync(words, 'hello\n')
    const argv = [process.execPath, TALK, 'hold', to, String(port), words]
    const whole = ['setsid', '--fork', 'ip', 'netns', 'exec', `g${from.n}`, ...argv]
    await (this.hosts[from.home] as Host).exec(whole, { outputFile: answers })
    const heard = (text: string) =>
      until(`${text} is heard`, async () => readFileSync(answers, 'utf8').includes(text))
    await heard('\ns')
    return {
      closed: () => heard('closed'),
      answers: () => readFileSync(answers, 'utf8'),
      says: async (text) => {
        appendFileSync(words, `${text}\n`)
        await heard(text)
      },
    }
  }

  /** What `count` connections or datagrams are answered. */
  async ask(from: Station, how: 'tcp' | 'udp', to: string, port: number, count = 1, source = 0) {
    return this.#ask(from, [how, to, port, ANSWERED_MS, count, source])
  }

  /** The same of one that nobody should answer: who is beside the node has waited long enough. */
  async silence(from: Station, how: 'tcp' | 'udp', to: string, port: number) {
    return this.#ask(from, [how, to, port, SILENT_MS])
  }

  /** Makes a wish true on both hosts, as their agents do. */
  async apply(wish: Wish | null): Promise<void> {
    this.#last = wish === null ? tenancy({}) : this.#desired(wish)
    await this.pass()
  }

  /** One more pass of everything. */
  async pass(): Promise<void> {
    await this.balancers.pass(this.#last).catch(async (error: unknown) => {
      // A node is told of its ports' flows also when something of it fails.
      await this.#ports()
      throw error
    })
    await this.#ports()
    const open = this.#stations.map((one) => [one, nicOf(one, { groupIds: ['sg-open'] })] as const)
    for (const [index, host] of this.hosts.entries()) {
      const here = open.filter(([one]) => one.home === index).map(([, nic]) => nic)
      const nodes = index === 0 ? wantedNodeNics(this.#last, 'one') : []
      await applyFlows(host, this.#last, [...here, ...nodes])
    }
  }

  /** A new agent, which knows nothing of before; it may have another wish. */
  async restart(wish?: Wish): Promise<void> {
    await this.balancers.close()
    this.balancers = this.#newBalancers()
    if (wish !== undefined) this.#last = this.#desired(wish)
    await this.pass()
  }

  /** `s2 HEALTHY`, and why not. */
  targets(): readonly string[] {
    return this.#told
  }

  #targetsOf(balancers: Balancers): string[] {
    return balancers.statuses().flatMap(({ body }) => {
      if (body.case !== 'target') return []
      const { address, state, reason } = body.value
      const one = this.#stations.find(({ ipv4, ipv6 }) => [ipv4, ipv6].includes(address))
      return [`s${one?.n} ${TargetState[state]}${reason === '' ? '' : ` ${reason}`}`]
    })
  }

  async untilTargets(...wanted: string[]): Promise<void> {
    await until(`targets are ${wanted.join(', ')}, not ${this.targets().join(', ')}`, () => {
      return Promise.resolve(JSON.stringify(this.targets()) === JSON.stringify(wanted))
    })
  }

  serving(): string {
    const [first] = this.balancers.statuses()
    if (first?.body.case !== 'balancer') return 'none'
    return first.body.value.serving ? 'serving' : first.body.value.trouble
  }

  async #ask(from: Station, words: readonly (string | number)[]): Promise<string[]> {
    const argv = [process.execPath, WEB, 'ask', ...words.map(String)]
    const { stdout } = await inside(this.hosts[from.home] as Host, from, argv)
    return stdout.trim().split('\n')
  }

  async #ports(): Promise<void> {
    const { exec, sw } = this.one
    const options = { exec, sw, wanted: wantedNodeNics(this.#last, 'one') }
    await reconcileOnce(portsReconciler(options), silentLog)
    const others = new Set(this.#stations.map(({ mac }) => tapName(mac)))
    await reconcileOnce(oldPortsReconciler(options, others), silentLog)
  }

  #newBalancers(): Balancers {
    const { exec, paths, sw } = this.one
    const parts = { exec, paths, sw, host: 'one', clock: systemClock, log: silentLog }
    const balancers = new Balancers(parts)
    this.#told = []
    balancers.onChange((isNews) => {
      if (isNews === true) this.#told = this.#targetsOf(balancers)
    })
    return balancers
  }

  #statusFile({ n }: Station): string {
    return join(this.#dir, `status${n}`)
  }

  #desired({ targets, listeners = ['tcp 80'], group, check, groupIds, groups }: Wish): Desired {
    const all = { 'sg-open': ['in all any', 'out all any'], ...groups }
    const { ipv4, ipv6, mac } = NODE
    const nic = create(InterfaceSchema, {
      ...{ id: 'eni-lb', networkId: 'subnet-1', host: 'one', mac, ipv4, ipv6, balancer: true },
      ...{ sourceDestCheck: true, groupIds: [...(groupIds ?? [])] },
    })
    const balancer = create(BalancerSchema, {
      ...{ id: 'lb', interfaceId: 'eni-lb', host: 'one' },
      listeners: listeners.map((text) => {
        const [protocol = 'tcp', port = ''] = text.split(' ')
        const known = PROTOCOLS[protocol as keyof typeof PROTOCOLS]
        return { id: text, protocol: known, port: Number(port), targetGroupId: 'tg-1' }
      }),
    })
    const healthCheck = { ...HTTP, ...check }
    const value = create(TargetGroupSchema, { id: 'tg-1', healthCheck, ...group })
    return new Map<string, Resource>([
      ...tenancy({ groups: all }),
      ['interface/eni-lb', resource('interface/eni-lb', { case: 'interface', value: nic })],
      ['balancer/eni-lb', resource('balancer/eni-lb', { case: 'balancer', value: balancer })],
      ['target-group/tg-1', resource('target-group/tg-1', { case: 'targetGroup', value })],
      ...targets.map((text) => this.#target(text)),
    ])
  }

  #target(text: string): [string, Resource] {
    const [n = '', ...about] = text.split(' ')
    const one = this.#stations.find((station) => station.n === Number(n)) as Station
    const address = about.includes('ipv6') ? one.ipv6 : one.ipv4
    const draining = about.includes('drain')
    const value = create(TargetSchema, { targetGroupId: 'tg-1', address, port: PORT, draining })
    const key = `target/tg-1/${address}/${PORT}`
    return [key, resource(key, { case: 'target', value })]
  }
}
