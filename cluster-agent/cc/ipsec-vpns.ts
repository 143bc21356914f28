// The IPsec tunnels to customers' own devices: one strongSwan for all of them, told over its socket
// what to hold. Keys are in its memory and in no file of this host. One tunnel that cannot be made
// does not keep the others from what they do.

import type { Clock } from '../../common/clock.ts'
import { isThere, readIfThere } from '../../common/durable-file.ts'
import { codeOf, MalleeError, messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import type { Machine } from '../../common/machine.ts'
import type { IpsecVpn, VpnLink } from '../../proto/gen/mallee/v1/border_pb.js'
import { type CharonState, type IkeSa, readCharon, readTunnels } from '../host/charon-state.ts'
import { emptyLongLog } from '../host/daemon-log.ts'
import { charonConfig, charonFiles, ensureCharon, stopCharon } from '../host/strongswan.ts'
import { connectVici, type Vici } from '../host/vici.ts'
import { listOf, textOf, type ViciMessage } from '../host/vici-wire.ts'
import type { Paths } from '../paths.ts'
import { connectionOf, type IpsecConnection, numberOfName, ownEndOf } from './ipsec-connection.ts'
import { ensureSharedDevice, ensureXfrmDevice, removeXfrmDevices } from './ipsec-devices.ts'
import { hasChild, planConnection, planRemovals } from './ipsec-plan.ts'
import { applyStep } from './ipsec-steps.ts'
import { troubleIn } from './ipsec-troubles.ts'
import { keyFile } from './tunnels.ts'
import { readUnderlay, type Underlay } from './underlay.ts'
import type { VpnKind, VpnSeen } from './vpn-kind.ts'

export interface IpsecVpnsOptions {
  readonly paths: Paths
  readonly machine: Pick<Machine, 'ipsec'>
  readonly clock: Clock
  readonly log: Log
  readonly config: {
    /** Where others reach us, `host:port`; empty to find out. */
    readonly endpoints: readonly string[]
  }
}

/** Between two tries with a device that refuses. */
const DIAL_EVERY_MS = 30_000
const MISSING =
  'this host has no strongSwan for IPsec: install charon-systemd, ' +
  'libstrongswan-standard-plugins and libcharon-extra-plugins (Debian), then restart the agent'

interface Held {
  link: VpnLink
  wanted: IpsecConnection | null
  endpoints: readonly string[]
  device: string | null
  up: boolean
  wasUp: boolean
  dialledAtMs: number
  /** Of what could not be made here. */
  trouble: string
  /** What strongSwan said of it last. */
  said: string
}

export class IpsecVpns implements VpnKind {
  readonly #options: IpsecVpnsOptions
  readonly #held = new Map<number, Held>()
  #vici: Vici | null = null

  constructor(options: IpsecVpnsOptions) {
    this.#options = options
  }

  async removeUnwanted(exec: Exec, links: readonly VpnLink[]): Promise<void> {
    const { paths, log, machine } = this.#options
    const numbers = new Set(links.map(({ number }) => number))
    for (const number of this.#held.keys()) if (!numbers.has(number)) this.#held.delete(number)
    if (machine.ipsec === 'kernel') {
      for (const device of await removeXfrmDevices(exec, numbers)) {
        log.info('tunnel to a device of a customer removed', { device })
      }
    }
    const files = charonFiles(paths)
    if (!(await isThere(files.config))) return
    if (numbers.size === 0) {
      this.#hangUp()
      await stopCharon({ exec, clock: this.#options.clock }, files)
      log.info('strongSwan ended: no tunnel needs it')
      return
    }
    const vici = await this.#connect().catch(() => null)
    // Without an answer it is started again in a moment, and holds nothing.
    if (vici === null) return
    for (const step of planRemovals(numbers, await readCharon(vici))) await applyStep(vici, step)
  }

  async pass(exec: Exec, links: readonly VpnLink[]): Promise<void> {
    if (links.length === 0) return
    for (const link of links) this.#hold(link)
    const { paths, machine, clock } = this.#options
    if (machine.ipsec === 'missing') return this.#blame(MISSING)
    const files = charonFiles(paths)
    try {
      const config = charonConfig(files, machine.ipsec)
      const pid = await ensureCharon({ exec, clock }, files, config)
      await emptyLongLog(files.log)
      const vici = await this.#connect()
      const shared =
        machine.ipsec === 'userspace' ? await ensureSharedDevice(exec, pid, links) : null
      const salt = (await readIfThere(keyFile(paths))) ?? ''
      const host = { underlay: await readUnderlay(exec), salt, shared }
      const seen = await readCharon(vici)
      for (const { number } of links) await this.#passOne(exec, vici, number, { ...host, seen })
      this.#note(await readTunnels(vici))
    } catch (error) {
      // One that does not answer is started again by the next pass.
      if (codeOf(error) === 'Unavailable') await stopCharon({ exec, clock }, files)
      this.#blame(messageOf(error))
      throw error
    }
  }

  async look(): Promise<void> {
    if ([...this.#held.values()].every(({ up }) => up)) return
    const vici = this.#vici
    if (vici === null || vici.isEnded) return
    this.#note(await readTunnels(vici))
  }

  deviceOf(number: number): string | null {
    return this.#held.get(number)?.device ?? null
  }

  seen(number: number): VpnSeen | null {
    const held = this.#held.get(number)
    if (held === undefined) return null
    const { up, endpoints, trouble, said } = held
    return { up, publicKey: '', endpoints, trouble: trouble || (up ? '' : said) }
  }

  async close(): Promise<void> {
    this.#hangUp()
  }

  async removeAll(exec: Exec): Promise<void> {
    await this.removeUnwanted(exec, [])
  }

  #hold(link: VpnLink): void {
    const held = this.#held.get(link.number)
    if (held !== undefined) {
      held.link = link
      return
    }
    this.#held.set(link.number, {
      ...{ link, wanted: null, endpoints: [], device: null, up: false, wasUp: false },
      ...{ dialledAtMs: 0, trouble: '', said: '' },
    })
  }

  async #passOne(
    exec: Exec,
    vici: Vici,
    number: number,
    host: {
      readonly underlay: Underlay
      readonly salt: string
      readonly shared: string | null
      readonly seen: CharonState
    },
  ): Promise<void> {
    const held = this.#held.get(number)
    if (held === undefined) return
    const { clock, log, machine } = this.#options
    try {
      const wanted = this.#wantedOf(held, host)
      if (wanted.name !== held.wanted?.name) Object.assign(held, { wasUp: false, said: '' })
      held.wanted = wanted
      // A device before its packets.
      held.device =
        machine.ipsec === 'kernel' ? await ensureXfrmDevice(exec, held.link) : host.shared
      if (held.device === null) throw new MalleeError('NotFound', 'strongSwan has no TUN device')
      const nowMs = clock.nowMs()
      const mayDial = nowMs - held.dialledAtMs >= DIAL_EVERY_MS
      const steps = planConnection(wanted, host.seen, { mayDial, wasUp: held.wasUp })
      if (steps.length > 0) log.info('reconcile', { name: `vpn ${number}`, steps: steps.length })
      for (const step of steps) await applyStep(vici, step)
      if (steps.some(({ kind }) => kind === 'dial')) held.dialledAtMs = nowMs
      held.trouble = ''
    } catch (error) {
      if (vici.isEnded) throw error
      log.warn('tunnel to a device of a customer', { number, error })
      held.trouble = messageOf(error)
    }
  }

  #wantedOf(
    held: Held,
    { underlay, salt }: { readonly underlay: Underlay; readonly salt: string },
  ): IpsecConnection {
    const { link } = held
    if (link.kind.case !== 'ipsec') throw new MalleeError('BadMessage', 'it is no link with IPsec')
    const ipsec = link.kind.value
    const own = ownEndOf(ipsec.remoteAddress, this.#options.config.endpoints, underlay)
    held.endpoints = own === null ? [] : [own.address]
    if (own === null) {
      const family = ipsec.remoteAddress.includes(':') ? 'IPv6' : 'IPv4'
      const lacks = `this host has no ${family} address for ${ipsec.remoteAddress}`
      throw new MalleeError('Unavailable', lacks)
    }
    const twin = [...this.#held.values()].find(
      ({ link: other, wanted }) => other.number < link.number && isLike(wanted, ipsec, own.address),
    )
    if (twin !== undefined) {
      const number = `tunnel ${twin.link.number} (${twin.link.id})`
      throw new MalleeError('Conflict', `${ipsec.remoteAddress} is at the other end of ${number}`)
    }
    return connectionOf(link, ipsec, own, { ipsec: this.#options.machine.ipsec, salt })
  }

  /** To a charon that runs; throws Unavailable. */
  async #connect(): Promise<Vici> {
    if (this.#vici !== null && !this.#vici.isEnded) return this.#vici
    const vici = await connectVici({
      path: charonFiles(this.#options.paths).socket,
      onEvent: (name, body) => this.#hear(name, body),
      onEnd: () => undefined,
    })
    this.#vici = vici
    await vici.listen('log')
    return vici
  }

  #hangUp(): void {
    this.#vici?.close()
    this.#vici = null
  }

  #hear(name: string, body: ViciMessage): void {
    if (name !== 'log') return
    const number = numberOfName(textOf(body, 'ikesa-name'))
    const held = number === null ? undefined : this.#held.get(number)
    const trouble = troubleIn(textOf(body, 'msg'))
    if (held !== undefined && trouble !== null) held.said = trouble
  }

  #note(tunnels: readonly IkeSa[]): void {
    for (const held of this.#held.values()) {
      const { wanted } = held
      held.up = wanted !== null && isEstablished(held, wanted, tunnels)
      if (held.up) Object.assign(held, { wasUp: true, said: '' })
    }
  }

  #blame(trouble: string): void {
    for (const held of this.#held.values()) Object.assign(held, { trouble, up: false })
  }
}

/** Without prefixes there is nothing that could pass: the device is there, and that is all. */
function isEstablished({ link }: Held, wanted: IpsecConnection, tunnels: readonly IkeSa[]) {
  if (hasChild(wanted, tunnels)) return true
  const isEmpty = link.localPrefixes.length === 0 || link.remotePrefixes.length === 0
  return (
    isEmpty && tunnels.some(({ name, state }) => name === wanted.name && state === 'ESTABLISHED')
  )
}

/** Whether a device could not say by which of two links it comes. */
function isLike(one: IpsecConnection | null, ipsec: IpsecVpn, address: string): boolean {
  const ids = [ipsec.localId || address, ipsec.remoteId || ipsec.remoteAddress]
  return listOf(one?.secret ?? {}, 'owners').join() === ids.join()
}
