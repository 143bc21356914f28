// planTunnels as text: `want` and `have` are peers, `up` an interface that stands with its routes.

import { create } from '@bufbuild/protobuf'
import {
  planTunnels,
  type TunnelStep,
  type TunnelsDesired,
  type TunnelsSeen,
} from '../../../cluster-agent/cc/tunnels.ts'
import type { WgPeer } from '../../../cluster-agent/host/wg.ts'
import { type Tunnel, TunnelSchema } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { golden } from '../../support/golden.ts'

const ADDRESS = 'fd00::1/128'
const NOW_MS = 1_000_000
const PEER = /^(want|have) (\w) at (\S+) for (\S+)(?: (heard|silent))?(?: psk (\d))?$/

golden('cc-tunnels', (input) => {
  const lines = input.split('\n').filter((line) => line !== '')
  const peers = lines.map((line) => PEER.exec(line)).filter((match) => match !== null)
  const wanted = peers.filter(([, side]) => side === 'want').map(tunnelOf)
  const had = peers.filter(([, side]) => side === 'have').map(peerOf)
  const steps = planTunnels(desired(wanted), seen(lines, had))
  return steps.length === 0 ? 'nothing' : steps.map(textOf).join('\n')
})

function tunnelOf([, , name = '', endpoints = '', allowed = '', , psk = '1']: RegExpExecArray) {
  return create(TunnelSchema, {
    publicKey: name,
    presharedKey: Buffer.alloc(32, Number(psk)),
    endpoints: endpoints.split(','),
    allowedIps: allowed.split(','),
    keepaliveS: 25,
  })
}

function peerOf([, , name = '', endpoint = '', allowed = '', heard]: RegExpExecArray): WgPeer {
  return {
    publicKey: name,
    presharedKey: Buffer.alloc(32, 1).toString('base64'),
    endpoint,
    allowedIps: allowed.split(','),
    latestHandshakeMs: heard === 'heard' ? NOW_MS - 60_000 : 0,
    receivedBytes: heard === 'heard' ? 1 : 0,
    sentBytes: 1,
    keepaliveS: 25,
  }
}

function desired(tunnels: readonly Tunnel[]): TunnelsDesired {
  return { address: ADDRESS, mtu: 1420, listenPort: 51_820, publicKey: 'own', tunnels }
}

function seen(lines: readonly string[], peers: readonly WgPeer[]): TunnelsSeen {
  const up = lines.includes('up')
  const advertised = lines.flatMap((line) => line.match(/^advertised (\w+)$/)?.[1] ?? [])
  const forwarding = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']
  const address = { cidr: ADDRESS, family: 6, scope: 'global' } as const
  return {
    link: up ? { name: 'mallee0', mac: '', mtu: 1420, up: true, addresses: [address] } : null,
    device: up ? { publicKey: 'own', listenPort: 51_820, peers } : null,
    routes: peers.flatMap(({ allowedIps }) => allowedIps),
    sysctls: new Map(up ? forwarding.map((key) => [key, '1']) : []),
    underlay: {
      reachable: { ipv4: true, ipv6: !lines.includes('ipv4 only') },
      addresses: [],
      publicSide: null,
      advertised,
    },
    tries: new Map(
      peers.map((peer) => {
        const heardMs = peer.receivedBytes > 0 ? NOW_MS - 1000 : 0
        const endpoint = peer.endpoint ?? ''
        return [peer.publicKey, { endpoint, sinceMs: 0, receivedBytes: 0, heardMs }]
      }),
    ),
    moved: lines.includes('moved'),
    nowMs: NOW_MS,
  }
}

function textOf(step: TunnelStep): string {
  switch (step.kind) {
    case 'create':
      return 'create'
    case 'key':
      return `key, port ${step.listenPort}`
    case 'ip':
      return step.lines.map((line) => `ip ${line}`).join('\n')
    case 'sysctls':
      return [...step.values].map(([key, value]) => `sysctl ${key}=${value}`).join('\n')
    case 'set': {
      const { publicKey, endpoint, allowedIps, keepaliveS } = step.peer
      const allowed = allowedIps.join(',')
      return `set ${publicKey} at ${endpoint ?? '(as it is)'} for ${allowed} every ${keepaliveS} s`
    }
    case 'endpoint':
      return `endpoint of ${step.publicKey}: ${step.endpoint}`
    case 'remove':
      return `remove ${step.publicKey}`
    default:
      return step satisfies never
  }
}
