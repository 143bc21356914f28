// How a load balancer's node is called on its host: its namespace, its device, its folder.

import { join } from 'node:path'
import { MalleeError } from '../../../common/errors.ts'
import type { Paths } from '../../paths.ts'

/** What the namespaces of all nodes begin with. */
export const NETNS_PREFIX = 'mallee-lb-'
/** The node's end of its cable. */
export const INSIDE = 'eth0'

const DEVICE_PREFIX = 'lb'
const DEVICE = new RegExp(`^${DEVICE_PREFIX}[0-9a-f]{10}$`)

/** Throws BadMessage for an id that cannot be a name of a file. */
export function netnsName(interfaceId: string): string {
  return `${NETNS_PREFIX}${nameOf(interfaceId)}`
}

/** The host's end of a node's cable; 12 characters, as a tap's name. */
export function nodeDevice(mac: string): string {
  return `${DEVICE_PREFIX}${mac.replaceAll(':', '').slice(2)}`
}

export function isNodeDevice(name: string): boolean {
  return DEVICE.test(name)
}

/** Of all nodes; root's alone. */
export function nodesDir(paths: Paths): string {
  return join(paths.runDir, 'balancers')
}

/** A node's files. Sockets have short paths: 97 characters are HAProxy's limit. */
export function nodePlaces(paths: Paths, interfaceId: string) {
  const dir = join(nodesDir(paths), nameOf(interfaceId))
  return {
    dir,
    config: join(dir, 'haproxy.cfg'),
    draft: join(dir, 'haproxy.new'),
    states: join(dir, 'states'),
    pidFile: join(dir, 'pid'),
    socket: join(dir, 'cli'),
    log: join(dir, 'haproxy.log'),
    /** Empty: what HAProxy sees of the host's files. */
    root: join(dir, 'root'),
  } as const
}

export type NodePlaces = ReturnType<typeof nodePlaces>

/** Throws BadMessage. */
export function nameOf(id: string): string {
  if (/^[A-Za-z0-9][\w-]{0,63}$/.test(id)) return id
  throw new MalleeError('BadMessage', `${JSON.stringify(id)} cannot be a name`)
}
