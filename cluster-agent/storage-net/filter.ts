// Keeps the storage network to hosts: what comes for it by another device is dropped, nothing is
// routed into or out of it, and through it a host can be asked for nothing but volumes. A host of
// Linux answers for all its addresses on every link, and a CC routes for tenants.

import { createHash } from 'node:crypto'
import type { Exec } from '../../common/exec.ts'
import { ISCSI_PORT } from '../../common/ports.ts'
import type { Reconciler } from '../../common/reconcile.ts'
import { applyRuleset, deleteTable, readTable, tableComment } from '../host/nft.ts'
import { STORAGE_PORT, STORAGE_TABLE } from './names.ts'

/** `network` is the rack's, with length; null takes the table away. */
export function storageFilter(
  exec: Exec,
  network: string | null,
): Reconciler<string | null, string | null> {
  const wanted = network === null ? null : storageRules(network)
  return {
    name: 'storage-filter',
    observe: async () => {
      const text = await readTable(exec, 'inet', STORAGE_TABLE)
      return text === null ? null : (tableComment(text) ?? '')
    },
    plan: (seen) => {
      if (wanted === null) return seen === null ? [] : [null]
      return seen === digestOf(wanted) ? [] : [wanted]
    },
    apply: (rules) =>
      rules === null
        ? deleteTable(exec, 'inet', STORAGE_TABLE)
        : applyRuleset(exec, ruleset(rules)),
  }
}

/** The chains. Before every other filter: these only ever drop. */
export function storageRules(network: string): string {
  return `  chain input {
    type filter hook input priority filter - 10; policy accept;
    ip6 daddr ${network} iifname != { "lo", "${STORAGE_PORT}" } drop
    iifname "${STORAGE_PORT}" goto from_storage
  }

  chain from_storage {
    ip6 saddr != { ${network}, fe80::/10 } drop
    ct state established,related accept
    icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert } accept
    ip6 daddr ${network} tcp dport ${ISCSI_PORT} accept
    drop
  }

  chain forward {
    type filter hook forward priority filter - 10; policy accept;
    iifname "${STORAGE_PORT}" drop
    oifname "${STORAGE_PORT}" drop
    ip6 daddr ${network} drop
    ip6 saddr ${network} drop
  }
`
}

function ruleset(rules: string): string {
  const table = `table inet ${STORAGE_TABLE}`
  const body = `${table} {\n  comment "${digestOf(rules)}"\n${rules}}\n`
  return `${table}\ndelete ${table}\n${body}`
}

function digestOf(rules: string): string {
  return createHash('sha256').update(rules).digest('hex').slice(0, 32)
}
