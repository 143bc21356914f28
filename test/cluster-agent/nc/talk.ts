// What stands for a guest's programs in tests of the switch. Run inside of its network:
// node talk.ts serve PORT... | tcp ADDRESS PORT MS | udp ADDRESS PORT MS | hold ADDRESS PORT FILE.
// Asking prints `ok`, or exits 1 when nobody answers in time. `hold` keeps one connection open, and
// says through it what is appended to FILE, printing what comes back, and its end.

import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'

const LOOK_EVERY_MS = 50

/** What to run with node. */
export const TALK = import.meta.filename

if (process.argv[1] === TALK) main(process.argv[2] ?? '', process.argv.slice(3))

function main(verb: string, args: readonly string[]): void {
  const [address = '', port = '', last = ''] = args
  if (verb === 'serve') for (const one of args) serve(one)
  else if (verb === 'hold') hold(address, Number(port), last)
  else ask(verb, address, port, Number(last))
}

function ask(verb: string, address: string, port: string, patienceMs: number): void {
  setTimeout(() => process.exit(1), patienceMs)
  if (verb === 'tcp') {
    const socket = connect({ host: address, port: Number(port) })
    socket.on('connect', () => socket.write('hello'))
    socket.on('data', () => done())
    socket.on('error', () => process.exit(1))
  } else {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', () => done())
    socket.on('error', () => process.exit(1))
    socket.send('hello', Number(port), address)
  }
}

function done(): void {
  process.stdout.write('ok\n', () => process.exit(0))
}

/** Echoes what it is told, TCP and UDP, both families. */
function serve(port: string): void {
  createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(Number(port))
  const socket = createSocket('udp6')
  socket.on('message', (text, from) => socket.send(text, from.port, from.address))
  socket.bind(Number(port))
}

function hold(address: string, port: number, file: string): void {
  const socket = connect({ host: address, port }, () => process.stdout.write('connected\n'))
  socket.on('data', (text) => process.stdout.write(text))
  socket.on('error', () => process.exit(1))
  socket.on('close', () => process.stdout.write('closed\n', () => process.exit(0)))
  let said = 0
  setInterval(() => {
    const text = readFileSync(file, 'utf8').slice(said)
    if (text !== '') socket.write(text)
    said += text.length
  }, LOOK_EVERY_MS)
}
