// wg(8) and the interface below it, the kernel's or wireguard-go's. Keys never stand in an argv:
// the private one lives in a file made at home, pre-shared ones pass through a file that is
// removed.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeDurably } from '../../common/durable-file.ts'
import { MalleeError } from '../../common/errors.ts'
import type { Exec } from '../../common/exec.ts'
import type { Machine } from '../../common/machine.ts'

export interface WgDevice {
  /** Base64; empty while none is set. */
  readonly publicKey: string
  readonly listenPort: number
  readonly peers: readonly WgPeer[]
}

export interface WgPeer {
  readonly publicKey: string
  /** Base64; empty without one. A secret: compare it, never print it. */
  readonly presharedKey: string
  /** As wg writes it: `192.0.2.1:51820` or `[2001:db8::1]:51820`; null when none is known. */
  readonly endpoint: string | null
  readonly allowedIps: readonly string[]
  /** Milliseconds since 1970; 0 before the first one. */
  readonly latestHandshakeMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly keepaliveS: number
}

export interface PeerSettings {
  readonly publicKey: string
  readonly presharedKey: string
  /** Null leaves it as it is. */
  readonly endpoint: string | null
  readonly allowedIps: readonly string[]
  readonly keepaliveS: number
}

const MAX_BYTES = 64 << 20
// A name that does not resolve must not hold up the pass: wg would try for a minute.
const NO_RETRIES = { WG_ENDPOINT_RESOLUTION_RETRIES: '0' }

/** The device as it is; null when no WireGuard device of that name answers. */
export async function readDevice(exec: Exec, device: string): Promise<WgDevice | null> {
  const argv = ['wg', 'show', device, 'dump']
  const { code, stdout } = await exec(argv, { okCodes: [0, 1], maxBytes: MAX_BYTES })
  return code === 0 ? parseDump(stdout) : null
}

/** All devices that answer, by name: as cheap as one of them. */
export async function readDevices(exec: Exec): Promise<ReadonlyMap<string, WgDevice>> {
  const argv = ['wg', 'show', 'all', 'dump']
  const { stdout } = await exec(argv, { okCodes: [0, 1], maxBytes: MAX_BYTES })
  return parseDumps(stdout)
}

/** The lines of `wg show all dump`: each begins with the interface. */
export function parseDumps(stdout: string): Map<string, WgDevice> {
  const lines = stdout.split('\n').filter((line) => line !== '')
  const byName = Map.groupBy(lines, (line) => line.slice(0, line.indexOf('\t')))
  return new Map(
    [...byName].map(([name, own]) => [
      name,
      parseDump(own.map((line) => line.slice(name.length + 1)).join('\n')),
    ]),
  )
}

/** The lines of `wg show <interface> dump`: the device's, then one per peer, tabs between. */
export function parseDump(stdout: string): WgDevice {
  const [own = '', ...lines] = stdout.split('\n').filter((line) => line !== '')
  const [, publicKey = '', listenPort] = own.split('\t')
  return {
    publicKey: publicKey === '(none)' ? '' : publicKey,
    listenPort: Number(listenPort),
    peers: lines.map((line) => {
      const fields = line.split('\t')
      if (fields.length !== 8) throw new MalleeError('CommandFailed', 'wg printed a strange line')
      const [key = '', psk = '', endpoint = '', allowed = '', at, received, sent, alive] = fields
      return {
        publicKey: key,
        presharedKey: psk === '(none)' ? '' : psk,
        endpoint: endpoint === '(none)' ? null : endpoint,
        allowedIps: allowed === '(none)' ? [] : allowed.split(','),
        latestHandshakeMs: Number(at) * 1000,
        receivedBytes: Number(received),
        sentBytes: Number(sent),
        keepaliveS: alive === 'off' ? 0 : Number(alive),
      }
    }),
  }
}

/** Makes the interface; wireguard-go runs on by itself and ends when its link is deleted. */
export async function createDevice(
  exec: Exec,
  {
    device,
    wireguard,
    logFile,
  }: { device: string; wireguard: Machine['wireguard']; logFile: string },
): Promise<void> {
  if (wireguard === 'kernel') {
    await exec(['ip', 'link', 'add', 'dev', device, 'type', 'wireguard'])
  } else if (wireguard === 'userspace') {
    // A session of its own: it must not get the agent's signals.
    const env = { LOG_LEVEL: 'error' }
    await exec(['setsid', 'wireguard-go', device], { env, outputFile: logFile })
  } else {
    throw new MalleeError('NotSupported', 'this host has neither WireGuard nor wireguard-go')
  }
}

export async function setDevice(
  exec: Exec,
  device: string,
  { keyFile, listenPort }: { keyFile: string; listenPort: number },
): Promise<void> {
  await exec(['wg', 'set', device, 'listen-port', String(listenPort), 'private-key', keyFile])
}

/**
 * Adds a peer or sets an existing one. An allowed IP that another peer had moves to this one.
 * `dir` is a folder that only we can read, for the time of the command.
 */
export async function setPeer(
  exec: Exec,
  device: string,
  peer: PeerSettings,
  dir: string,
): Promise<void> {
  const pskFile = join(dir, 'preshared-key')
  const argv = ['wg', 'set', device, 'peer', peer.publicKey, 'preshared-key', pskFile]
  if (peer.endpoint !== null) argv.push('endpoint', peer.endpoint)
  argv.push('persistent-keepalive', peer.keepaliveS === 0 ? 'off' : String(peer.keepaliveS))
  argv.push('allowed-ips', peer.allowedIps.join(','))
  try {
    // An empty file removes the pre-shared key, as wg(8) says.
    await writeFile(pskFile, peer.presharedKey === '' ? '' : `${peer.presharedKey}\n`, {
      mode: 0o600,
    })
    await exec(argv, { env: NO_RETRIES })
  } finally {
    await rm(pskFile, { force: true })
  }
}

export async function setEndpoint(
  exec: Exec,
  device: string,
  publicKey: string,
  endpoint: string,
): Promise<void> {
  await exec(['wg', 'set', device, 'peer', publicKey, 'endpoint', endpoint], { env: NO_RETRIES })
}

export async function removePeer(exec: Exec, device: string, publicKey: string): Promise<void> {
  await exec(['wg', 'set', device, 'peer', publicKey, 'remove'])
}

/** The public key, base64, of the private one in `file`, which is made (mode 0600) when missing. */
export async function ensureKey(file: string): Promise<string> {
  const kept = await readIfThere(file)
  if (kept !== null) return publicKeyOf(kept.trim())
  const { privateKey } = generateKeyPairSync('x25519')
  const text = Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url').toString(
    'base64',
  )
  await writeDurably(file, `${text}\n`)
  return publicKeyOf(text)
}

/** Throws BadConfig when the text is no key of 32 bytes. */
export function publicKeyOf(privateKey: string): string {
  const raw = Buffer.from(privateKey, 'base64')
  if (raw.length !== 32) throw new MalleeError('BadConfig', 'the WireGuard key file has no key')
  const key: KeyObject = createPublicKey(
    createPrivateKey({ key: Buffer.concat([X25519_PKCS8, raw]), format: 'der', type: 'pkcs8' }),
  )
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
}

// PrivateKeyInfo of RFC 8410, section 7, up to the 32 bytes of the key.
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
