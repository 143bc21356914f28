// Load balancers of a host that is a model: they serve at once, and a target is well when the
// instance behind its address runs.

import { create } from '@bufbuild/protobuf'
import type { Clock } from '../../common/clock.ts'
import {
  BalancerStatusSchema,
  TargetState,
  TargetStatusSchema,
} from '../../proto/gen/mallee/v1/balancers_pb.js'
import { type Instance, Power } from '../../proto/gen/mallee/v1/desired_pb.js'
import { type Status, StatusSchema } from '../../proto/gen/mallee/v1/observed_pb.js'
import { bodies, type Desired } from '../../proto/resources.ts'
import { type NodeWanted, targetKey, wantedNodes } from '../nc/balancers/wanted.ts'

export interface SimulatedBalancersOptions {
  readonly host: string
  readonly clock: Clock
  /** Does an instance of this host answer on the network? */
  readonly answers: (instanceId: string) => boolean
}

interface Verdict {
  readonly well: boolean
  readonly sinceMs: number
}

/** The model's load balancers, which follow the desired state and the guests of the model. */
export class SimulatedBalancers {
  readonly #options: SimulatedBalancersOptions
  readonly #verdicts = new Map<string, Verdict>()
  #desired: Desired = new Map()
  #nodes: readonly NodeWanted[] = []

  constructor(options: SimulatedBalancersOptions) {
    this.#options = options
  }

  follow(desired: Desired): void {
    this.#desired = desired
    this.#nodes = wantedNodes(desired, this.#options.host)
  }

  statuses(): Status[] {
    if (this.#nodes.length === 0) return []
    const wells = this.#wellAddresses()
    return this.#nodes.flatMap((node) => [
      this.#balancerStatus(node),
      ...node.groups.flatMap(({ id, targets }) =>
        targets.map(({ address, port }) => {
          const key = targetKey(node.interfaceId, id, { address, port })
          const { well, sinceMs } = this.#verdict(key, wells.has(address))
          const value = create(TargetStatusSchema, {
            ...{ targetGroupId: id, address, port, interfaceId: node.interfaceId },
            state: well ? TargetState.HEALTHY : TargetState.UNHEALTHY,
            reason: well ? '' : 'no simulated guest answers',
            timedOut: !well,
            sinceMs: BigInt(sinceMs),
          })
          return create(StatusSchema, { key, body: { case: 'target', value } })
        }),
      ),
    ])
  }

  #balancerStatus({ id, interfaceId, missing }: NodeWanted): Status {
    const value = create(BalancerStatusSchema, {
      ...{ id, interfaceId, host: this.#options.host },
      serving: missing.length === 0,
      trouble: missing.length === 0 ? '' : `missing: ${missing.join(', ')}`,
    })
    return create(StatusSchema, {
      key: `balancer/${interfaceId}`,
      body: { case: 'balancer', value },
    })
  }

  /** Of an instance elsewhere it is only known that it is there. */
  #wellAddresses(): Set<string> {
    const { host, answers } = this.#options
    const instances = new Map(bodies(this.#desired, 'instance').map((one) => [one.id, one]))
    const isWell = (instance: Instance | undefined): boolean => {
      if (instance?.host === host) return answers(instance.id)
      return instance?.power === Power.RUNNING
    }
    const interfaces = bodies(this.#desired, 'interface')
    const here = new Set(interfaces.map(({ id }) => id))
    const elsewhere = bodies(this.#desired, 'member')
      .filter(({ interfaceId }) => !here.has(interfaceId))
      .flatMap(({ addresses }) => addresses)
    const well = interfaces.filter(({ instanceId }) => isWell(instances.get(instanceId)))
    return new Set([
      ...well.flatMap((one) => [one.ipv4, one.ipv6, ...one.ipv4More, ...one.ipv6More]),
      ...elsewhere,
    ])
  }

  #verdict(key: string, well: boolean): Verdict {
    const known = this.#verdicts.get(key)
    if (known?.well === well) return known
    const verdict = { well, sinceMs: this.#options.clock.nowMs() }
    this.#verdicts.set(key, verdict)
    return verdict
  }
}
