// Which resources of which racks a change of a record touches. Together with resourceAt this makes
// a delta: property-tested against the whole desired state.

import type { Records } from '../store/records.ts'
import type { View } from '../store/state.ts'
import type { Change } from '../store/store.ts'

export interface Touched {
  readonly key: string
  /** The only rack that may hold it, or null when any may. */
  readonly rack: string | null
}

/** Keys that a change may have changed; more than really changed is allowed, fewer is not. */
export function touchedBy(view: View, change: Change): Touched[] {
  const [kind = '', id = '', more = ''] = change.key.split('/')
  switch (kind) {
    case 'cloud':
    case 'rack':
      // Rare, and both ends of every tunnel of the rack hang on it.
      return [{ key: 'rack', rack: kind === 'rack' ? id : null }, ...allTunnels(view)]
    case 'host':
      // The rack's own resource names its members.
      return [
        { key: 'rack', rack: id },
        { key: `tunnel/${id}/${more}`, rack: null },
        ...tunnelsTo(view, id),
      ]
    case 'subnet':
      return touchedBySubnet(view, id, change)
    case 'preshared-key':
      return id.split('|').flatMap((rack) => tunnelsTo(view, rack))
    case 'vpc':
    case 'image':
      return [{ key: `${kind}/${id}`, rack: null }]
    case 'interface':
    case 'instance':
      return [{ key: `${kind}/${id}`, rack: rackIn(change) }]
    default:
      return []
  }
}

function touchedBySubnet(view: View, id: string, change: Change): Touched[] {
  if (change.value === null) {
    const vpcs = view.all('vpc').map((vpc) => ({ key: `vpc/${vpc.id}`, rack: null }))
    return [{ key: `network/${id}`, rack: null }, ...vpcs, ...allTunnels(view)]
  }
  const subnet = JSON.parse(change.value) as Records['subnet']
  return [
    { key: `network/${id}`, rack: subnet.rack },
    { key: `vpc/${subnet.vpc}`, rack: subnet.rack },
    ...tunnelsTo(view, subnet.rack),
  ]
}

function allTunnels(view: View): Touched[] {
  return tunnelsOf(view.all('host'))
}

function tunnelsTo(view: View, rack: string): Touched[] {
  return tunnelsOf(view.withPrefix('host', `${rack}/`))
}

function tunnelsOf(hosts: readonly Records['host'][]): Touched[] {
  return hosts
    .filter((host) => host.roles.includes('cc'))
    .map(({ rack, host }) => ({ key: `tunnel/${rack}/${host}`, rack: null }))
}

/** A deleted record no longer says where it was: then every rack is told. */
function rackIn(change: Change): string | null {
  if (change.value === null) return null
  return (JSON.parse(change.value) as { rack: string }).rack
}
