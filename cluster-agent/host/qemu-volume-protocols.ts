// How QEMU reaches a volume: over iSCSI at its target, or by itself in Ceph. Either way with a name
// and a secret that are of one attachment alone.

import { MalleeError } from '../../common/errors.ts'
import { cephxKey } from './cephx.ts'

/** An image in a pool of Ceph. */
export interface RbdImage {
  /** address:port, IPv6 in brackets. */
  readonly monitors: readonly string[]
  readonly pool: string
  readonly namespace: string
  readonly image: string
}

export interface VolumeSource {
  /** address:port, IPv6 in brackets. */
  readonly portal: string
  readonly targetIqn: string
  readonly lun: number
  readonly initiatorIqn: string
  readonly chapUser: string
  readonly chapSecret: string
  /** Null over iSCSI. */
  readonly rbd: RbdImage | null
}

/** A block device of QEMU's without its name, and the secret that it asks for. */
export interface Protocol {
  readonly driver: 'iscsi' | 'rbd'
  /** `secret` is the id of the object that has it. */
  readonly options: (secret: string, timeoutS: number) => Readonly<Record<string, unknown>>
  readonly secret: { readonly data: string; readonly format: 'raw' | 'base64' }
}

const PART = /^[\w.-]{1,128}$/

/** Throws BadMessage for what is no name, and for a secret that makes no key. */
export function protocolOf(volume: VolumeSource): Protocol {
  return volume.rbd === null ? iscsi(volume) : rbd(volume, volume.rbd)
}

/** As an argument of QEMU's programs. */
export function imageOptions(options: object): string {
  return Object.entries(options)
    .flatMap(([name, value]) => flat(name, value))
    .join(',')
}

function iscsi(volume: VolumeSource): Protocol {
  const { portal, targetIqn: target, lun, chapUser: user, initiatorIqn, chapSecret } = volume
  return {
    driver: 'iscsi',
    options: (secret, timeout) => ({
      ...{ driver: 'iscsi', transport: 'tcp', timeout, portal, target, lun, user },
      ...{ 'password-secret': secret, 'initiator-name': initiatorIqn },
    }),
    secret: { data: chapSecret, format: 'raw' },
  }
}

/** QEMU waits for Ceph without a limit. */
function rbd({ chapUser, chapSecret }: VolumeSource, where: RbdImage): Protocol {
  const { monitors, pool, namespace, image } = where
  const bad = [pool, namespace, image, chapUser].find((part) => !PART.test(part))
  if (bad !== undefined) throw new MalleeError('BadMessage', `${bad} is no name in Ceph`)
  return {
    driver: 'rbd',
    options: (secret) => ({
      ...{ driver: 'rbd', pool, namespace, image, user: `mallee.${chapUser}` },
      server: monitors.map(monitorOf),
      'key-secret': secret,
      'auth-client-required': ['cephx'],
    }),
    secret: { data: cephxKey(chapSecret), format: 'base64' },
  }
}

function monitorOf(text: string): { readonly host: string; readonly port: string } {
  const [, ipv6, ipv4 = '', port = ''] =
    /^(?:\[([0-9a-fA-F:]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? []
  if (port === '') throw new MalleeError('BadMessage', `${text} is no monitor of Ceph`)
  return { host: ipv6 ?? ipv4, port }
}

function flat(name: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [`${name}=${value}`]
  return Object.entries(value).flatMap(([key, inner]) => flat(`${name}.${key}`, inner))
}
