// The smallest DHCPv6 client (RFC 8415): solicits one address on a link and prints it. Run inside
// of a fake instance: node dhcp6-client.ts LINK MAC. Exits 1 when nobody answers.

import { createSocket } from 'node:dgram'

const CLIENT_PORT = 546
const SERVERS = 'ff02::1:2'
const SERVER_PORT = 547
const DEADLINE_MS = 15_000
const RESEND_MS = 500
const [SOLICIT, ADVERTISE, REQUEST, REPLY] = [1, 2, 3, 7] as const
const [CLIENT_ID, SERVER_ID, IA_NA, IA_ADDRESS] = [1, 2, 3, 5] as const

const transaction = Buffer.from([0x4d, 0x4c, 0x54])

/** What to run with node. */
export const DHCP6_CLIENT = import.meta.filename

if (process.argv[1] === DHCP6_CLIENT) main(process.argv[2] ?? '', process.argv[3] ?? '')

function main(link: string, mac: string): void {
  const hardware = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const clientId = Buffer.concat([Buffer.from([0, 3, 0, 1]), hardware])
  const socket = createSocket({ type: 'udp6' })
  let message = compose(SOLICIT, [option(CLIENT_ID, clientId), option(IA_NA, Buffer.alloc(12))])

  socket.on('message', (packet) => {
    if (!packet.subarray(1, 4).equals(transaction)) return
    const options = optionsOf(packet.subarray(4))
    const identity = options.get(IA_NA)
    const server = options.get(SERVER_ID)
    const address =
      identity === undefined ? undefined : optionsOf(identity.subarray(12)).get(IA_ADDRESS)
    if (identity === undefined || server === undefined || address === undefined) return
    if (packet[0] === ADVERTISE) {
      message = compose(REQUEST, [
        option(CLIENT_ID, clientId),
        option(SERVER_ID, server),
        option(IA_NA, identity),
      ])
      send()
    } else if (packet[0] === REPLY) {
      const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(2 * at).toString(16))
      process.stdout.write(`${groups.join(':')}\n`)
      process.exit(0)
    }
  })
  socket.bind(CLIENT_PORT, () => {
    send()
    setInterval(send, RESEND_MS)
  })
  setTimeout(() => process.exit(1), DEADLINE_MS)

  // A link that has just come up may have no address to send from yet.
  function send(): void {
    socket.send(message, SERVER_PORT, `${SERVERS}%${link}`, () => undefined)
  }
}

function compose(type: number, options: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([type]), transaction, ...options])
}

function option(code: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt16BE(code, 0)
  head.writeUInt16BE(value.length, 2)
  return Buffer.concat([head, value])
}

function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2)
    found.set(bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return found
}
