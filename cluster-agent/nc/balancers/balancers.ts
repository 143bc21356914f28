// All load balancers' nodes of this host: their namespaces, and in each one a node. Between passes
// it asks how targets are.

import { rm } from 'node:fs/promises'
import { messageOf } from '../../../common/errors.ts'
import { Loop, reconcileOnce } from '../../../common/reconcile.ts'
import type { Status } from '../../../proto/gen/mallee/v1/observed_pb.js'
import type { Desired } from '../../../proto/resources.ts'
import { removeGuard } from '../../host/guard.ts'
import type { Switch } from '../../host/ovs.ts'
import type { StatusListener } from '../../role.ts'
import { guardNodes, linksReconciler, nodeLinks } from './links.ts'
import { nodesDir } from './names.ts'
import { BalancerNode, balancerStatus, type NodeOptions } from './node.ts'
import { type NodeWanted, wantedNodes } from './wanted.ts'

export interface BalancersOptions extends NodeOptions {
  readonly sw: Switch
}

/** How targets are is asked so often; sooner while one is on trial. */
const LOOK_EVERY_MS = 2_000
const LOOK_SOON_MS = 200

export class Balancers {
  readonly #options: BalancersOptions
  readonly #nodes = new Map<string, BalancerNode>()
  readonly #listeners = new Set<StatusListener>()
  /** Nodes whose interface or network is not here. */
  #homeless: readonly NodeWanted[] = []
  readonly #loop: Loop
  #looking = false
  #told = ''

  constructor(options: BalancersOptions) {
    this.#options = options
    const { clock, log } = options
    this.#loop = new Loop({
      ...{ name: 'target-health', everyMs: LOOK_EVERY_MS, clock, log },
      chance: () => 1,
      pass: () => this.#look(),
    })
  }

  /** Makes a complete desired state true. Throws the first failure, at the end. */
  async pass(desired: Desired): Promise<void> {
    const { log, host } = this.#options
    const wanted = new Map(wantedNodes(desired, host).map((node) => [node.interfaceId, node]))
    const links = nodeLinks(desired, host, (id) => passesOn(wanted.get(id)))
    const there = new Set(links.map(({ interfaceId }) => interfaceId))
    this.#homeless = [...wanted.values()].filter(({ interfaceId }) => !there.has(interfaceId))
    for (const [id, node] of this.#nodes) {
      if (wanted.has(id) && there.has(id)) continue
      await node.remove()
      this.#nodes.delete(id)
    }
    // The switch gets a port for each veth that has come, so somebody must hear of it.
    const steps = await reconcileOnce(linksReconciler(this.#options, links), log)
    await guardNodes(this.#options)
    if (steps > 0) for (const listener of this.#listeners) listener()
    const failures: unknown[] = []
    for (const [id, node] of wanted) {
      if (!there.has(id)) continue
      await this.#node(id)
        .pass(node)
        .catch((error: unknown) => {
          log.error('balancer failed', { interface: id, error: messageOf(error) })
          failures.push(error)
        })
    }
    this.#changed()
    this.#lookOn()
    if (failures.length > 0) throw failures[0]
  }

  statuses(): Status[] {
    return [
      ...[...this.#nodes.values()].flatMap((node) => node.statuses()),
      ...this.#homeless.map((node) => {
        const trouble = `missing: interface/${node.interfaceId} or its network`
        return balancerStatus(node, this.#options.host, { serving: false, trouble })
      }),
    ]
  }

  /** Calls back when something is to be told, or a device has come; until the end is called. */
  onChange(listener: StatusListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Ends what runs in this process; the nodes go on, and the next one adopts them. */
  async close(): Promise<void> {
    if (this.#looking) await this.#loop.stop()
  }

  async removeAll(): Promise<void> {
    await this.close()
    await reconcileOnce(linksReconciler(this.#options, []), this.#options.log)
    await removeGuard(this.#options.exec, 'nodes')
    await rm(nodesDir(this.#options.paths), { recursive: true, force: true })
    this.#nodes.clear()
  }

  #node(id: string): BalancerNode {
    const known = this.#nodes.get(id)
    if (known !== undefined) return known
    const node = new BalancerNode(id, this.#options)
    this.#nodes.set(id, node)
    return node
  }

  #lookOn(): void {
    if (this.#nodes.size === 0) return
    if (!this.#looking) this.#loop.start()
    else if (this.#unsettled()) this.#loop.wake()
    this.#looking = true
  }

  async #look(): Promise<void> {
    const looks = await Promise.allSettled([...this.#nodes.values()].map((node) => node.look()))
    this.#changed()
    if (this.#unsettled()) {
      void this.#options.clock.sleep(LOOK_SOON_MS).then(() => this.#loop.wake())
    }
    const failed = looks.find((look) => look.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  #unsettled(): boolean {
    return [...this.#nodes.values()].some((node) => node.unsettled())
  }

  #changed(): void {
    const news = JSON.stringify(this.statuses(), (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    if (news === this.#told) return
    this.#told = news
    for (const listener of this.#listeners) listener(true)
  }
}

function passesOn(node: NodeWanted | undefined): boolean {
  return node?.listeners.some(({ udp }) => udp) ?? false
}
