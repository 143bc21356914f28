// Which peer clouds a change of a record may be about: what is stated to the others is as it was.

import type { PeeringEndpointRecord } from '../store/peer-records.ts'
import type { HostRecord, VpcRecord } from '../store/records.ts'
import type { AppliedChange, View } from '../store/state.ts'
import { remotesOfVpc } from './asked.ts'
import { isRemote } from './negotiation.ts'

/** More than those whose statements change is allowed, fewer is not. `view` has the change. */
export function concerned(view: View, { key, before, value }: AppliedChange): readonly string[] {
  const [kind = '', id = ''] = key.split('/')
  switch (kind) {
    case 'cloud':
      return all(view)
    case 'peer':
      return [id]
    case 'peer-link':
      return view.all('peer').flatMap(({ uid, number }) => (String(number) === id ? uid : []))
    case 'peering': {
      const versions = [before as Parameters<typeof isRemote>[0], view.get('peering', id)]
      return versions.flatMap((one) => (one != null && isRemote(one) ? one.remote.uid : []))
    }
    case 'peering-endpoint': {
      const said = ({ endpoints }: PeeringEndpointRecord): string => endpoints.join()
      return isAsBefore(before, value, said) ? [] : all(view)
    }
    case 'host': {
      const said = ({ rack, roles }: HostRecord): string => `${rack} ${roles.join()}`
      return isAsBefore(before, value, said) ? [] : all(view)
    }
    case 'vpc': {
      const blocks = ({ ipv4Cidrs, ipv6Cidrs }: VpcRecord): string => `${ipv4Cidrs} ${ipv6Cidrs}`
      return isAsBefore(before, value, blocks) ? ofVpcs(view, [id]) : all(view)
    }
    case 'security-group':
      // Its rules are nothing to others.
      return before != null && value !== null ? [] : ofVpcs(view, vpcsIn(before, value))
    case 'interface':
      return before === undefined ? all(view) : ofVpcs(view, vpcsIn(before, value))
    default:
      return []
  }
}

function all(view: View): string[] {
  return view.all('peer').map(({ uid }) => uid)
}

function ofVpcs(view: View, vpcs: readonly string[]): string[] {
  const uids = vpcs.flatMap((vpc) => remotesOfVpc(view, vpc).map(({ remote }) => remote.uid))
  return [...new Set(uids)]
}

function vpcsIn(before: object | null | undefined, value: string | null): string[] {
  const after = value === null ? null : (JSON.parse(value) as object)
  const ids = [before, after].flatMap((one) => (one as { vpc?: string } | null)?.vpc ?? [])
  return [...new Set(ids)]
}

/** False when one of the two is not there, or not known. */
function isAsBefore<T>(
  before: object | null | undefined,
  value: string | null,
  said: (record: T) => string,
): boolean {
  if (before == null || value === null) return false
  return said(before as T) === said(JSON.parse(value) as T)
}
