// How fast and how quick a path between two hosts is, by the tools that everybody has: iperf3(1)
// and ping(8).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SandboxHost, Started } from '../sandbox/host.ts'
import { until } from '../sandbox/until.ts'

/** One way to get from one host to another. The addresses choose it. */
export interface Path {
  readonly name: string
  readonly from: SandboxHost
  readonly to: SandboxHost
  readonly source: string
  readonly target: string
}

export const IPERF_PORT = 5201

const TCP_S = 3
/** Left out at the start: TCP's slow start. */
const OMIT_S = 1
const PINGS = 200
const PING_EVERY_S = 0.01
const COMMAND_MS = 30_000

/** Listens on all addresses of a host until stopped. */
export async function startIperfServer(host: SandboxHost): Promise<Started> {
  const logFile = join(host.dir, 'iperf3.log')
  const argv = ['iperf3', '--server', '--port', `${IPERF_PORT}`, '--forceflush']
  const server = await host.start(argv, { logFile })
  const listens = async (): Promise<boolean> =>
    (await readFile(logFile, 'utf8')).includes('Server listening')
  await until(`iperf3 listens on ${host.name}`, listens)
  return server
}

/** Mbit/s of one TCP stream, as received, over some seconds. Throws CommandFailed. */
export async function tcpRate({ from, source, target }: Path): Promise<number> {
  const time = ['--time', `${TCP_S}`, '--omit', `${OMIT_S}`, '--connect-timeout', '5000']
  const ends = ['--client', target, '--port', `${IPERF_PORT}`, '--bind', source]
  const { stdout } = await from.exec(['iperf3', '--json', ...time, ...ends], {
    timeoutMs: COMMAND_MS,
  })
  return parseIperf(stdout)
}

/** Mbit/s that the server received, from `iperf3 --json`. NaN when it does not say. */
export function parseIperf(stdout: string): number {
  const { end } = JSON.parse(stdout) as IperfAnswer
  return (end?.sum_received?.bits_per_second ?? Number.NaN) / 1e6
}

interface IperfAnswer {
  readonly end?: { readonly sum_received?: { readonly bits_per_second?: number } }
}

/** Round trip times in ms of some hundred pings, lost ones left out. */
export async function pingTimes({ from, source, target }: Path): Promise<number[]> {
  const rate = ['-c', `${PINGS}`, '-i', `${PING_EVERY_S}`, '-W', '1']
  const argv = ['ping', '-n', ...rate, '-I', source, target]
  // 1: some were lost.
  const { stdout } = await from.exec(argv, { timeoutMs: COMMAND_MS, okCodes: [0, 1] })
  return parsePings(stdout)
}

/** The times of ping's lines, in ms. */
export function parsePings(stdout: string): number[] {
  return [...stdout.matchAll(/ time=([\d.]+) ms$/gm)].map(([, time]) => Number(time))
}

/** Waits until a path carries packets. Throws CommandTimeout. */
export async function awaitPath(path: Path, signal: AbortSignal): Promise<void> {
  const { name, from, source, target } = path
  const argv = ['ping', '-n', '-c', '1', '-W', '1', '-I', source, target]
  const answered = async (): Promise<boolean> =>
    // 2: the address or the device is not there yet.
    (await from.exec(argv, { okCodes: [0, 1, 2] })).code === 0
  await until(`${target} answers over ${name}`, answered, { timeoutMs: 20_000, signal })
}
