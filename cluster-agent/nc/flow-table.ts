// The flow table on the switch: what we know to stand there, and the least that makes it another.

import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { changeFlows, readMarker, replaceFlows, type Switch } from '../host/ovs.ts'
import type { FlowUnit, WantedFlows } from './flow-plan.ts'

type Units = WantedFlows['units']

export interface FlowChange {
  /** Matches without actions. */
  readonly remove: readonly string[]
  readonly add: readonly string[]
}

export type FlowStep =
  | { readonly kind: 'replace'; readonly flows: readonly string[] }
  | { readonly kind: 'change'; readonly change: FlowChange }

/**
 * Remembers what it installed, so that a change costs what it changes; whether that still stands is
 * asked in each pass, because vswitchd forgets it when it restarts.
 */
export class FlowTable {
  readonly #exec: Exec
  readonly #sw: Switch
  #installed: WantedFlows | null = null

  constructor(exec: Exec, sw: Switch) {
    this.#exec = exec
    this.#sw = sw
  }

  reconciler(wanted: WantedFlows): Reconciler<Units | null, FlowStep> {
    return {
      name: 'flows',
      observe: () => this.#standing(wanted),
      plan: (standing) => planFlows(wanted.units, standing),
      apply: (step) => this.#apply(wanted, step),
    }
  }

  /** Null when it is not known what stands there. */
  async #standing(wanted: WantedFlows): Promise<Units | null> {
    const { digest, count } = await readMarker(this.#exec, this.#sw)
    const stands = (one: WantedFlows) => one.digest === digest && one.count === count
    if (stands(wanted)) this.#installed = wanted
    else if (this.#installed !== null && !stands(this.#installed)) this.#installed = null
    return this.#installed?.units ?? null
  }

  async #apply(wanted: WantedFlows, step: FlowStep): Promise<void> {
    if (step.kind === 'replace') {
      await replaceFlows(this.#exec, this.#sw, step.flows, wanted.digest)
    } else {
      await changeFlows(this.#exec, this.#sw, step.change, wanted.digest)
    }
    this.#installed = wanted
  }
}

export function planFlows(wanted: Units, standing: Units | null): FlowStep[] {
  if (standing === null) {
    return [{ kind: 'replace', flows: [...wanted.values()].flatMap(({ flows }) => flows) }]
  }
  const changed = [...wanted].filter(([key, unit]) => !same(standing.get(key), unit))
  const gone = [...standing].filter(([key, unit]) => !same(wanted.get(key), unit))
  const before = new Set(gone.flatMap(([, { flows }]) => flows))
  const after = new Set(changed.flatMap(([, { flows }]) => flows))
  const add = [...after].filter((flow) => !before.has(flow))
  // Adding a flow takes the place of the one with the same match.
  const kept = new Set([...after].map(matchOf))
  const remove = [...before].map(matchOf).filter((match) => !kept.has(match))
  if (add.length + remove.length === 0) return []
  return [{ kind: 'change', change: { remove, add } }]
}

function same(a: FlowUnit | undefined, b: FlowUnit): boolean {
  return a === b || a?.digest === b.digest
}

function matchOf(flow: string): string {
  return flow.slice(0, flow.indexOf(',actions='))
}
