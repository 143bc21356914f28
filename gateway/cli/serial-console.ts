// `mallee serial-console`: a user's terminal at an instance's serial port. Asks the API as any user
// does, with keys from where the aws CLI has them: it needs no gateway on this machine.

import type { IncomingMessage } from 'node:http'
import { buildCommand } from '@stricli/core'
import { WebSocket } from 'ws'
import { answering } from '../../common/cli.ts'
import { systemClock } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import { SERIAL_PATH, SERIAL_SERVICE } from '../serial/admission.ts'
import { CLOSE } from '../serial/socket.ts'
import { type AwsAccess, type AwsWish, readAwsAccess } from './aws-profile.ts'
import { escapeReader } from './escape.ts'
import { signedGet } from './sign.ts'

/** Of a paste: a gateway takes no longer message. */
const MESSAGE_BYTES = 32 << 10
const MAX_WAITING_BYTES = 256 << 10
const MAX_ANSWER_BYTES = 64 << 10

const text = { kind: 'parsed', parse: String, optional: true } as const

export const serialConsoleCommand = buildCommand<AwsWish, [string]>({
  docs: {
    brief: "Connect this terminal to an instance's serial port",
    fullDescription: [
      "Connect this terminal to an instance's serial port. Enter, then ~. leaves; ~~ is a tilde.",
      'Keys, region and endpoint come from flags, AWS_* in the environment or a profile, as for',
      'the aws CLI. The account must have turned it on: aws ec2 enable-serial-console-access.',
      '',
      'Example:',
      '  mallee serial-console i-0123456789abcdef0 --endpoint http://gateway.example:8773',
    ].join('\n'),
  },
  parameters: {
    positional: {
      kind: 'tuple',
      parameters: [{ brief: 'Id of the instance', parse: String, placeholder: 'instance' }],
    },
    flags: {
      endpoint: { ...text, brief: 'URL of the API', placeholder: 'url' },
      region: { ...text, brief: 'Region of the cloud', placeholder: 'name' },
      profile: { ...text, brief: 'Profile of the AWS configuration', placeholder: 'name' },
    },
  },
  func: (wish, instance) =>
    answering(false, async () => {
      const access = await readAwsAccess(wish, process.env)
      const socket = await connect(access, instance)
      process.stderr.write(`Connected to ${instance}. Enter, then ~. leaves.\r\n`)
      process.stderr.write(`\r\n${await converse(socket)}\r\n`)
    }),
})

/** Throws NotAllowed with AWS's code and sentence, Unavailable when nobody answers. */
function connect(access: AwsAccess, instance: string): Promise<WebSocket> {
  const url = new URL(`${SERIAL_PATH}${encodeURIComponent(instance)}`, access.endpoint)
  const headers = signedGet(access, url, SERIAL_SERVICE, systemClock.nowMs())
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const ca = access.ca === null ? {} : { ca: access.ca }
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers, perMessageDeflate: false, ...ca })
    socket.once('open', () => resolve(socket))
    socket.once('error', (cause) => {
      const sentence = `${access.endpoint.origin} does not answer: ${cause.message}`
      reject(new MalleeError('Unavailable', sentence, { cause }))
    })
    socket.once('unexpected-response', (_request, response) => {
      refusalOf(response).then(reject, reject)
    })
  })
}

async function refusalOf(response: IncomingMessage): Promise<MalleeError> {
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) {
    body = (body + String(chunk)).slice(0, MAX_ANSWER_BYTES)
  }
  const { statusCode = 0 } = response
  const sentence = messageIn(body) ?? `the endpoint answers ${statusCode}, as no cloud does`
  return new MalleeError(statusCode >= 500 ? 'Unavailable' : 'NotAllowed', sentence)
}

function messageIn(body: string): string | null {
  try {
    const { Message: message } = JSON.parse(body) as { readonly Message?: unknown }
    return typeof message === 'string' ? message : null
  } catch {
    return null
  }
}

/** Until either side leaves; the sentence says why. Throws Unavailable when it broke. */
async function converse(socket: WebSocket): Promise<string> {
  const { stdin, stdout } = process
  const isTerminal = stdin.isTTY
  const read = escapeReader()
  let left = 'you left'
  if (isTerminal) stdin.setRawMode(true)
  stdin.on('data', (typed: Buffer) => {
    const { send, leaves } = isTerminal ? read(typed) : { send: typed, leaves: false }
    for (let at = 0; at < send.length; at += MESSAGE_BYTES) {
      socket.send(send.subarray(at, at + MESSAGE_BYTES), () => {
        if (socket.bufferedAmount <= MAX_WAITING_BYTES) stdin.resume()
      })
    }
    if (socket.bufferedAmount > MAX_WAITING_BYTES) stdin.pause()
    if (leaves) socket.close(CLOSE.normal)
  })
  stdin.on('end', () => {
    left = 'the input ended'
    socket.close(CLOSE.normal)
  })
  socket.on('message', (data: Buffer) => {
    // A terminal that is slow, or stopped by Ctrl-S, holds up the instance and not our memory.
    if (!stdout.write(data)) socket.pause()
  })
  stdout.on('drain', () => socket.resume())
  // The close event follows it.
  socket.on('error', () => undefined)
  try {
    const [code, reason] = await new Promise<[number, string]>((resolve) => {
      socket.once('close', (...[status, why]) => resolve([status, why.toString()]))
    })
    if (code === CLOSE.normal || code === CLOSE.policy) {
      return `Connection closed: ${reason === '' ? left : reason}.`
    }
    throw new MalleeError('Unavailable', reason === '' ? 'the connection broke' : reason)
  } finally {
    if (isTerminal) stdin.setRawMode(false)
    stdin.destroy()
  }
}
