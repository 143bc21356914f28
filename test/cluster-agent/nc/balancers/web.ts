// Targets and clients of load balancers in tests. Run inside of a station's network:
// node web.ts serve NAME PORT FILE answers TCP and UDP of both families with who it is and whom
// it hears; it answers GET with the status in FILE, and with nothing at all when that is `silent`.
// node web.ts secure PORT FOLDER FILE answers HTTPS with that status, by key.pem and cert.pem.
// node web.ts ask tcp|udp ADDRESS PORT MS COUNT [SOURCE-PORT] prints what it is answered in time.

import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'

/** What to run with node. */
export const WEB = import.meta.filename

/** PROXY protocol, version 2: its signature, and where the source address is. */
const PROXY_V2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

interface Asked {
  readonly address: string
  readonly port: number
  readonly patienceMs: number
}

if (process.argv[1] === WEB) await main(process.argv.slice(2))

async function main([verb = '', ...args]: string[]): Promise<void> {
  if (verb === 'serve') return serve(args)
  if (verb === 'secure') return secure(args)
  const [how, address = '', port = '', patience = '', count = '1', from = '0'] = args
  const at = { address, port: Number(port), patienceMs: Number(patience) }
  for (let n = 0; n < Number(count); n += 1) {
    const answer = how === 'tcp' ? askTcp(at) : askUdp(at, Number(from))
    process.stdout.write(`${await answer}\n`)
  }
}

function serve([name = '', port = '', file = '']: string[]): void {
  const server = createServer((socket) => talk(name, file, socket))
  server.listen(Number(port))
  const socket = createSocket('udp6')
  socket.on('message', (_, from) => socket.send(name, from.port, from.address))
  socket.bind(Number(port))
}

function secure([port = '', folder = '', file = '']: string[]): void {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(folder, name)))
  createHttpsServer({ key, cert }, (_, response) => {
    response.writeHead(Number(readFileSync(file, 'utf8')), { 'content-length': 0 }).end()
  }).listen(Number(port))
}

/** Says who it is, then echoes. */
function talk(name: string, file: string, socket: Socket): void {
  const peer = (socket.remoteAddress ?? '').replace('::ffff:', '')
  socket.on('error', () => undefined)
  socket.once('data', (data) => {
    const status = readFileSync(file, 'utf8').trim()
    if (data.subarray(0, PROXY_V2.length).equals(PROXY_V2)) {
      socket.write(`${name} ${peer} for ${clientOf(data)}\n`)
    } else if (data.toString().startsWith('GET /health ')) {
      if (status !== 'silent') socket.end(`HTTP/1.1 ${status} Word\r\nContent-Length: 0\r\n\r\n`)
      return
    } else {
      socket.write(`${name} ${peer}\n`)
    }
    socket.pipe(socket)
  })
}

function clientOf(data: Buffer): string {
  const ipv4 = data[13] === 0x11
  const hex = data.subarray(16, ipv4 ? 20 : 32)
  return ipv4 ? [...hex].join('.') : hex.toString('hex')
}

function askTcp({ address, port, patienceMs }: Asked): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port }, () => socket.write('hello\n'))
    const end = (answer: string) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(patienceMs, () => end('silent'))
    socket.once('data', (data) => end(data.toString().split('\n')[0] ?? ''))
    socket.on('error', (error) => end((error as NodeJS.ErrnoException).code ?? 'error'))
    socket.on('end', () => end('closed'))
  })
}

function askUdp({ address, port, patienceMs }: Asked, from: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const end = (answer: string) => {
      clearTimeout(timer)
      socket.close(() => resolve(answer))
    }
    const timer = setTimeout(() => end('silent'), patienceMs)
    socket.once('message', (text) => end(text.toString()))
    socket.bind(from, () => socket.send('hello', port, address))
  })
}
