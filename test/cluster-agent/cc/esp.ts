// A hostile device: it has the keys of its tunnel, and writes into its packets (RFC 4303, RFC 4106,
// RFC 3948) what it likes.

import { createCipheriv } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { charonFiles } from '../../../cluster-agent/host/strongswan.ts'
import { parseAddress } from '../../../topology/cidr.ts'
import type { SimulatedHost } from '../../support/netns.ts'

export interface EspKeys {
  readonly spi: number
  /** AES-256 and the four bytes of salt. */
  readonly key: Buffer
}

const IPV4 = 4
const ICMP = 1
/** Sends what standard input has in hex, a packet a line, to an address's port. */
const SEND = `const [host, port] = process.argv.slice(1)
const lines = require('node:fs').readFileSync(0, 'utf8').trim().split('\\n')
const socket = require('node:dgram').createSocket('udp4')
const next = () => {
  const line = lines.shift()
  if (line === undefined) return socket.close()
  socket.send(Buffer.from(line, 'hex'), Number(port), host, next)
}
next()`

/** Of the newest tunnel of a device that dialled and whose log has keys (chd = 4). */
export async function espKeysOf({ paths }: SimulatedHost): Promise<EspKeys> {
  const text = await readFile(charonFiles(paths).log, 'utf8')
  // The keys of one that is made stand before its SPIs.
  const dump = text.split(/encryption initiator key => 36 bytes @ \S+\n/).at(-1) ?? ''
  const spi = /established with SPIs \S+_i ([0-9a-f]+)_o/.exec(dump)?.[1] ?? ''
  const bytes = dump
    .split('\n')
    .slice(0, 3)
    .flatMap((line) => /\b\d+: ((?:[0-9A-F]{2} )+)/.exec(line)?.[1]?.trim().split(' ') ?? [])
  return { spi: Number.parseInt(spi, 16), key: Buffer.from(bytes.join(''), 'hex') }
}

/** Sends each as an echo request, in this order. */
export async function sendEsp(
  { exec }: SimulatedHost,
  keys: EspKeys,
  to: string,
  echoes: readonly { readonly from: string; readonly to: string }[],
): Promise<void> {
  const lines = echoes.map((one, n) => espOf(keys, 1_000_000 + n, echoOf(one.from, one.to)))
  const input = `${lines.map((packet) => packet.toString('hex')).join('\n')}\n`
  await exec([process.execPath, '-e', SEND, to, '4500'], { input })
}

function espOf({ spi, key }: EspKeys, sequence: number, packet: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(spi)
  head.writeUInt32BE(sequence, 4)
  const iv = Buffer.alloc(8)
  iv.writeUInt32BE(sequence, 4)
  const nonce = Buffer.concat([key.subarray(32), iv])
  const cipher = createCipheriv('aes-256-gcm', key.subarray(0, 32), nonce)
  cipher.setAAD(head)
  // The whole is a multiple of four with these two bytes.
  const pad = (4 - ((packet.length + 2) % 4)) % 4
  const padding = Buffer.from(Array.from({ length: pad }, (_, i) => i + 1))
  const plain = Buffer.concat([packet, padding, Buffer.of(pad, IPV4)])
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([head, iv, sealed, cipher.getAuthTag()])
}

function echoOf(from: string, to: string): Buffer {
  const icmp = Buffer.of(8, 0, 0, 0, 0, 1, 0, 1)
  icmp.writeUInt16BE(checksum(icmp), 2)
  const head = Buffer.of(
    0x45,
    0,
    0,
    28,
    0,
    0,
    0,
    0,
    64,
    ICMP,
    0,
    0,
    ...bytesOf(from),
    ...bytesOf(to),
  )
  head.writeUInt16BE(checksum(head), 10)
  return Buffer.concat([head, icmp])
}

function bytesOf(address: string): number[] {
  const parsed = parseAddress(address)
  if (!parsed.ok) throw new RangeError(`${address} is no address`)
  const value = Number(parsed.value.value)
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff)
}

function checksum(bytes: Buffer): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
