// Which of a rack's resources a node holds. Each resource says so by itself, so a change of one
// never makes another appear.

import type { Resource } from '../../proto/gen/mallee/v1/desired_pb.js'
import type { Desired } from '../../proto/resources.ts'

/** May the node `host` hold this resource? What the rack's edge does stays with the CC. */
export function isFor(host: string, { body }: Resource): boolean {
  switch (body.case) {
    case 'rack':
    case 'network':
    case 'image':
    case 'group':
    case 'member':
    case 'acl':
    case 'targetGroup':
    case 'target':
      return true
    case 'interface':
    case 'instance':
    case 'balancer':
    case 'volume':
    case 'volumeSnapshot':
      return body.value.host === host
    default:
      return false
  }
}

/** The whole desired state of a node. */
export function nodeDesired(desired: Desired, host: string): Resource[] {
  return [...desired.values()].filter((resource) => isFor(host, resource))
}
