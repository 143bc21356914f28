// What a charon must be told so that it holds the connections that are wanted and no others, pure.

import { type CharonState, type IkeSa, isUp } from '../host/charon-state.ts'
import { type IpsecConnection, numberOfName } from './ipsec-connection.ts'
import type { CharonStep } from './ipsec-steps.ts'

/** What ends when only links with these numbers go on. */
export function planRemovals(numbers: ReadonlySet<number>, seen: CharonState): CharonStep[] {
  return removals((name) => numbers.has(numberOfName(name) ?? 0), seen)
}

/** What one link needs; nothing when it has it. `mayDial` is false soon after the last try. */
export function planConnection(
  wanted: IpsecConnection,
  seen: CharonState,
  { mayDial, wasUp }: { readonly mayDial: boolean; readonly wasUp: boolean },
): CharonStep[] {
  const { name, number } = wanted
  const steps = removals((one) => one === name || numberOfName(one) !== number, seen)
  if (!seen.secrets.includes(name)) steps.push({ kind: 'secret', wanted })
  const children = seen.connections.get(name)
  const isLoaded = children !== undefined && children.join() === wanted.child
  if (!isLoaded) steps.push({ kind: 'load', wanted })
  const tunnels = tunnelsOf(wanted, seen)
  if (!isLoaded || mayDial) {
    if (shallDial(wanted, tunnels, wasUp)) steps.push({ kind: 'dial', wanted })
  }
  // The IKE SA goes on when only prefixes have changed.
  for (const { children: sas } of tunnels) {
    for (const sa of sas) {
      if (sa.name !== wanted.child) steps.push({ kind: 'end-child', child: sa.id })
    }
  }
  return steps
}

/** Packets pass. */
export function hasChild(wanted: IpsecConnection, tunnels: readonly IkeSa[]): boolean {
  return tunnels.some(
    ({ name, children }) =>
      name === wanted.name && children.some((sa) => sa.name === wanted.child && isUp(sa)),
  )
}

// With a device that is there already either side may ask for the rest.
function shallDial(wanted: IpsecConnection, tunnels: readonly IkeSa[], wasUp: boolean): boolean {
  if (hasChild(wanted, tunnels)) return false
  if (tunnels.some(({ state }) => state === 'ESTABLISHED')) return true
  return tunnels.length === 0 && wanted.dials && (wanted.dialsAgain || !wasUp)
}

function tunnelsOf(wanted: IpsecConnection, { tunnels }: CharonState): IkeSa[] {
  return tunnels.filter(({ name, state }) => name === wanted.name && state !== 'DELETING')
}

// Connections first: what is ended must not be taken up again.
function removals(isKept: (name: string) => boolean, seen: CharonState): CharonStep[] {
  const gone = (names: Iterable<string>): string[] => [...names].filter((name) => !isKept(name))
  return [
    ...gone(seen.connections.keys()).map((name) => ({ kind: 'unload', name }) as const),
    ...gone(seen.secrets).map((secret) => ({ kind: 'forget', secret }) as const),
    // Who has not said yet who he is has a tunnel without a name.
    ...seen.tunnels
      .filter(({ name }) => numberOfName(name) !== null && !isKept(name))
      .map(({ id }) => ({ kind: 'end', tunnel: id }) as const),
  ]
}
