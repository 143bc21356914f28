// What a charon holds, as it tells of itself over VICI: connections, secrets, and the tunnels that
// are up.

import type { Vici } from './vici.ts'
import { listOf, sectionOf, textOf, type ViciMessage } from './vici-wire.ts'

export interface CharonState {
  /** By name, the names of their children. */
  readonly connections: ReadonlyMap<string, readonly string[]>
  /** Ids of pre-shared keys. */
  readonly secrets: readonly string[]
  readonly tunnels: readonly IkeSa[]
}

/** A conversation with a device (RFC 7296, 1.2). */
export interface IkeSa {
  readonly id: string
  /** The connection's. */
  readonly name: string
  /** `CONNECTING`, `ESTABLISHED`, `REKEYING`, `DELETING`, … */
  readonly state: string
  readonly children: readonly ChildSa[]
}

/** Keys for packets between two sets of prefixes. */
export interface ChildSa {
  readonly id: string
  readonly name: string
  /** `INSTALLED`, `REKEYING`, `REKEYED`, … */
  readonly state: string
}

export async function readCharon(vici: Vici): Promise<CharonState> {
  const connections = await vici.list('list-conns', 'list-conn')
  const secrets = listOf(await vici.ask('get-shared'), 'keys')
  return { connections: connectionsOf(connections), secrets, tunnels: await readTunnels(vici) }
}

export async function readTunnels(vici: Vici): Promise<IkeSa[]> {
  return tunnelsOf(await vici.list('list-sas', 'list-sa'))
}

/** A packet from such a child is taken, and leaves by it. */
export function isUp({ state }: ChildSa): boolean {
  return ['INSTALLED', 'UPDATING', 'REKEYING'].includes(state)
}

export function tunnelsOf(rows: readonly ViciMessage[]): IkeSa[] {
  return rows.flatMap((row) =>
    Object.keys(row).map((name) => {
      const sa = sectionOf(row, name)
      const children = sectionOf(sa, 'child-sas')
      return {
        id: textOf(sa, 'uniqueid'),
        name,
        state: textOf(sa, 'state'),
        children: Object.keys(children).map((key) => {
          const child = sectionOf(children, key)
          const [id, state] = [textOf(child, 'uniqueid'), textOf(child, 'state')]
          return { id, name: textOf(child, 'name'), state }
        }),
      }
    }),
  )
}

function connectionsOf(rows: readonly ViciMessage[]): Map<string, string[]> {
  return new Map(
    rows.flatMap((row) =>
      Object.keys(row).map((name) => {
        const children = sectionOf(sectionOf(row, name), 'children')
        return [name, Object.keys(children)] as const
      }),
    ),
  )
}
