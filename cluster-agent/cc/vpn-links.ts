// The tunnels to customers' own devices, of both kinds. What is the matter with one, or with a
// kind, keeps neither the others nor the rack's own network from what they do.

import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import { messageOf } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Log } from '../../common/log.ts'
import { type VpnLink, VpnLinkStatusSchema } from '../../proto/gen/mallee/v1/border_pb.js'
import { type Status, StatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import { keepSysctls } from '../host/originals.ts'
import type { Paths } from '../paths.ts'
import type { VpnKind, VpnKindName } from './vpn-kind.ts'

export interface VpnLinksOptions {
  readonly paths: Paths
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly config: { readonly host: string }
}

/** An error about what came in by a tunnel leaves by it, as its mark says (vpn-routes.ts). */
const SYSCTLS: ReadonlyMap<string, string> = new Map([
  ['net.ipv4.fwmark_reflect', '1'],
  ['net.ipv6.fwmark_reflect', '1'],
])
/** One that was not heard for so long after it was made is for the passes to find. */
const AWAITED_MS = 60_000

interface Held {
  readonly kind: VpnKindName | undefined
  readonly sinceMs: number
  isUp: boolean
  changedAtMs: number
}

export class VpnLinks {
  readonly #options: VpnLinksOptions
  readonly #kinds: ReadonlyMap<VpnKindName, VpnKind>
  readonly #held = new Map<number, Held>()
  /** By kind, where all of one fails; of the host, where errors do not get back. */
  readonly #troubles = new Map<VpnKindName | 'host', string>()
  #isFresh = true

  /** `kinds` are those that this host can do. */
  constructor(options: VpnLinksOptions, kinds: ReadonlyMap<VpnKindName, VpnKind>) {
    this.#options = options
    this.#kinds = kinds
  }

  /** First in a pass: what is not wanted any more ends now. */
  async removeUnwanted(exec: Exec, links: readonly VpnLink[]): Promise<void> {
    const numbers = new Set(links.map(({ number }) => number))
    for (const number of this.#held.keys()) if (!numbers.has(number)) this.#held.delete(number)
    this.#troubles.clear()
    await this.#each((kind, name) => kind.removeUnwanted(exec, ofKind(links, name)))
  }

  /** Whether it has not looked yet which devices are there. */
  isFresh(): boolean {
    return this.#isFresh
  }

  /** Makes devices and tunnels; what fails is said in the statuses. */
  async pass(exec: Exec, links: readonly VpnLink[]): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    for (const { number, kind } of links) {
      if (this.#held.get(number)?.kind === kind.case) continue
      const fresh = { kind: kind.case, sinceMs: nowMs, isUp: false, changedAtMs: nowMs }
      this.#held.set(number, fresh)
    }
    if (links.length > 0) {
      await this.#safely('host', () => keepSysctls(exec, this.#options.paths, SYSCTLS))
    }
    await this.#each((kind, name) => kind.pass(exec, ofKind(links, name)))
    this.#isFresh = false
    this.#note()
  }

  /** Looks again at those that are not up. */
  async look(exec: Exec): Promise<void> {
    await this.#each((kind) => kind.look(exec))
    this.#note()
  }

  /** By the number of a tunnel the device by which its packets come and go, where it is there. */
  devices(): ReadonlyMap<number, string> {
    const found = new Map<number, string>()
    for (const [number, { kind }] of this.#held) {
      const device = this.#kindOf(kind)?.deviceOf(number) ?? null
      if (device !== null) found.set(number, device)
    }
    return found
  }

  statuses(): Status[] {
    return [...this.#held].map(([number, held]) => {
      const seen = this.#kindOf(held.kind)?.seen(number) ?? null
      const value = create(VpnLinkStatusSchema, {
        number,
        host: this.#options.config.host,
        publicKey: seen?.publicKey ?? '',
        endpoints: [...(seen?.endpoints ?? [])],
        up: held.isUp,
        changedAtMs: BigInt(held.changedAtMs),
        trouble: this.#troubleOf(held.kind) || (seen?.trouble ?? ''),
      })
      return create(StatusSchema, { key: `vpn/${number}`, body: { case: 'vpnLink', value } })
    })
  }

  /** Whether one was made a moment ago and is not heard yet: somebody may wait for it. */
  isAwaiting(): boolean {
    const nowMs = this.#options.clock.nowMs()
    return [...this.#held.values()].some(
      ({ isUp, sinceMs }) => !isUp && nowMs - sinceMs < AWAITED_MS,
    )
  }

  async close(): Promise<void> {
    for (const kind of this.#kinds.values()) await kind.close()
  }

  async removeAll(exec: Exec): Promise<void> {
    for (const kind of this.#kinds.values()) await kind.removeAll(exec)
    this.#held.clear()
  }

  async #each(act: (kind: VpnKind, name: VpnKindName) => Promise<void>): Promise<void> {
    for (const [name, kind] of this.#kinds) await this.#safely(name, () => act(kind, name))
  }

  async #safely(of: VpnKindName | 'host', act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      this.#options.log.warn('tunnels to devices of customers', { of, error })
      this.#troubles.set(of, messageOf(error))
    }
  }

  #note(): void {
    const nowMs = this.#options.clock.nowMs()
    for (const [number, held] of this.#held) {
      const isUp = this.#kindOf(held.kind)?.seen(number)?.up ?? false
      if (isUp === held.isUp) continue
      held.isUp = isUp
      held.changedAtMs = nowMs
    }
  }

  #kindOf(name: VpnKindName | undefined): VpnKind | null {
    return name === undefined ? null : (this.#kinds.get(name) ?? null)
  }

  #troubleOf(name: VpnKindName | undefined): string {
    if (name === undefined || !this.#kinds.has(name)) {
      return `this host has no tunnels of the kind ${name ?? 'none'}`
    }
    return this.#troubles.get(name) ?? this.#troubles.get('host') ?? ''
  }
}

function ofKind(links: readonly VpnLink[], name: VpnKindName): readonly VpnLink[] {
  return links.filter(({ kind }) => kind.case === name)
}
