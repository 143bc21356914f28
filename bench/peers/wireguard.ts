// A WireGuard tunnel set up by hand between two hosts: what Mallee's path is measured against.

import { join } from 'node:path'
import { createDevice, ensureKey, setDevice, setPeer } from '../../cluster-agent/host/wg.ts'
import { exec } from '../../common/exec.ts'
import { probeMachine } from '../../common/machine.ts'
import type { SandboxHost } from '../../sandbox/host.ts'
import type { Path } from '../wire.ts'

const DEVICE = 'raw0'
const PORT = 51830
const ADDRESSES = ['fd77:6177::1', 'fd77:6177::2'] as const

export interface WireguardEnd {
  readonly host: SandboxHost
  /** Its address in the underlay. */
  readonly underlay: string
}

/** The tunnel between two hosts, with `mtu` bytes inside; it goes with them. */
export async function rawWireguard(
  from: WireguardEnd,
  to: WireguardEnd,
  mtu: number,
): Promise<Path> {
  const { wireguard } = await probeMachine(exec)
  const keys = await Promise.all([from, to].map(({ host }) => ensureKey(keyFile(host))))
  for (const [index, { host }] of [from, to].entries()) {
    await createDevice(host.exec, {
      device: DEVICE,
      wireguard,
      logFile: join(host.dir, 'wireguard.log'),
    })
    await setDevice(host.exec, DEVICE, { keyFile: keyFile(host), listenPort: PORT })
    const far = index === 0 ? to : from
    const peer = {
      publicKey: keys[1 - index] ?? '',
      presharedKey: '',
      endpoint: far.underlay.includes(':')
        ? `[${far.underlay}]:${PORT}`
        : `${far.underlay}:${PORT}`,
      allowedIps: [`${ADDRESSES[1 - index]}/128`],
      keepaliveS: 0,
    }
    await setPeer(host.exec, DEVICE, peer, host.dir)
    await host.exec(['ip', 'link', 'set', DEVICE, 'mtu', `${mtu}`, 'up'])
    const address = ['address', 'add', `${ADDRESSES[index]}/64`, 'dev', DEVICE, 'nodad']
    await host.exec(['ip', ...address])
  }
  const [source, target] = ADDRESSES
  return { name: 'raw WireGuard', from: from.host, to: to.host, source, target }
}

function keyFile(host: SandboxHost): string {
  return join(host.dir, 'raw-wireguard.key')
}
