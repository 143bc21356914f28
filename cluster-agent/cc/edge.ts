// What the CC's host forwards, translates and answers: the nft table `inet mallee`. A change of
// tenants changes elements of sets; only other chains replace the table.

import { createHash } from 'node:crypto'
import type { Exec } from '../../common/exec.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { ascending } from '../../topology/order.ts'
import { applyRuleset, readTable, tableComment, tableElements } from '../host/nft.ts'
import { borderSets } from './border-sets.ts'
import { edgeChains } from './edge-chains.ts'
import { type EdgeSet, edgeSets } from './edge-sets.ts'
import { EDGE_TABLE } from './names.ts'
import type { Tenants } from './tenants.ts'
import { vpnNames } from './vpn-chains.ts'
import { vpnSets } from './vpn-sets.ts'

export interface EdgeSeen {
  /** The digest of the chains; null without a table. */
  readonly digest: string | null
  readonly elements: ReadonlyMap<string, readonly string[]>
}

export interface EdgeStep {
  readonly ruleset: string
  /** What to load when the kernel refuses the change: it may lack what a newer one has. */
  readonly otherwise: string
}

/** The kernel's own messages have a limit; so has what one transaction may take. */
const MAX_ELEMENTS_PER_COMMAND = 1_000

export function edgeReconciler(exec: Exec, tenants: Tenants): Reconciler<EdgeSeen, EdgeStep> {
  return {
    name: 'edge',
    observe: async () => {
      const text = (await readTable(exec, 'inet', EDGE_TABLE, { elements: true })) ?? ''
      return { digest: tableComment(text), elements: tableElements(text) }
    },
    plan: (seen) => planEdge(tenants, seen),
    apply: async ({ ruleset, otherwise }) => {
      await applyRuleset(exec, ruleset).catch(() => applyRuleset(exec, otherwise))
    },
  }
}

export function planEdge(tenants: Tenants, seen: EdgeSeen): EdgeStep[] {
  const { digest, ruleset, sets } = edgeRules(tenants)
  if (seen.digest !== digest) return [{ ruleset, otherwise: ruleset }]
  const gone: string[] = []
  const fresh: string[] = []
  for (const { name, elements } of sets) {
    const have = new Set(seen.elements.get(name))
    const wanted = new Set(elements)
    gone.push(
      ...commands(
        'delete',
        name,
        [...have].filter((one) => !wanted.has(one)),
      ),
    )
    fresh.push(
      ...commands(
        'add',
        name,
        [...wanted].filter((one) => !have.has(one)),
      ),
    )
  }
  if (gone.length + fresh.length === 0) return []
  return [{ ruleset: `${[...gone, ...fresh].join('\n')}\n`, otherwise: ruleset }]
}

/** One transaction: the old table goes, the new one comes; running connections stay. */
export function edgeRules(tenants: Tenants): {
  readonly digest: string
  readonly ruleset: string
  readonly sets: readonly EdgeSet[]
} {
  const hopLimits = [...new Set(tenants.hopLimits.values())].sort(ascending)
  const sets = [
    ...edgeSets(tenants),
    ...borderSets(tenants.peerLinks),
    ...vpnSets(tenants),
    ...hopLimits.flatMap((limit) => hopSets(tenants, limit)),
  ]
  const chains = edgeChains({
    fabric: tenants.fabric,
    publicDevice: tenants.publicSide?.device ?? null,
    hopLimits,
    limits: tenants.peerLinks
      .filter(({ bandwidthBitsPerS }) => bandwidthBitsPerS > 0n)
      .map(({ number, bandwidthBitsPerS }) => ({
        number,
        bytesPerS: Math.max(1, Number(bandwidthBitsPerS / 8n)),
      })),
    vpns: vpnNames(tenants.vpnLinks),
  })
  const heads = sets.map(({ name, head }) => `${name} ${head}`)
  const digest = createHash('sha256')
    .update([...heads, chains].join('\n'))
    .digest('hex')
  const comment = digest.slice(0, 32)
  const table = `table inet ${EDGE_TABLE}`
  const body = `${sets.map(setText).join('\n')}\n${chains}`
  return {
    digest: comment,
    ruleset: `${table}\ndelete ${table}\n${table} {\n  comment "${comment}"\n\n${body}}\n`,
    sets,
  }
}

function hopSets({ hopLimits }: Tenants, limit: number): EdgeSet[] {
  const with_ = [...hopLimits].filter(([, one]) => one === limit).map(([address]) => address)
  return ([4, 6] as const).map((family) => ({
    name: `hops${family}_${limit}`,
    head: `type ipv${family}_addr`,
    elements: with_.filter((one) => one.includes(':') === (family === 6)).sort(ascending),
  }))
}

function setText({ name, head, elements }: EdgeSet): string {
  // An empty list of elements is a syntax error.
  const given = elements.length === 0 ? '' : `    elements = { ${elements.join(',\n      ')} }\n`
  return `  ${head.includes(' : ') ? 'map' : 'set'} ${name} {\n    ${head}\n${given}  }\n`
}

function commands(verb: 'add' | 'delete', name: string, elements: readonly string[]): string[] {
  const lines: string[] = []
  for (let from = 0; from < elements.length; from += MAX_ELEMENTS_PER_COMMAND) {
    const some = elements.slice(from, from + MAX_ELEMENTS_PER_COMMAND)
    lines.push(`${verb} element inet ${EDGE_TABLE} ${name} { ${some.join(', ')} }`)
  }
  return lines
}
