// What end-to-end tests do to hosts and look for on the wire.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SandboxHost } from '../../sandbox/host.ts'
import { RACK_JOIN } from '../../sandbox/racks.ts'
import type { TourInstance } from '../../sandbox/tour.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'

/** The agent's process as the host counts. */
export async function agentPid(host: SandboxHost): Promise<string> {
  const { stdout } = await host.exec(['cat', '/run/mallee/cluster-agent.pid'])
  return stdout.trim().split(' ')[0] ?? ''
}

export async function restartAgent(host: SandboxHost): Promise<void> {
  await host.exec([RACK_JOIN, 'start'], { timeoutMs: 90_000 })
}

/** QEMU's process of an instance as its host counts. */
export async function qemuPid(host: SandboxHost, instanceId: string): Promise<string> {
  const file = join(host.stateDir, 'instances', instanceId, 'pid')
  return (await readFile(file, 'utf8')).trim()
}

/** How often a guest was up on the host that it has now: its console's log goes on. */
export async function timesUp(world: World, instance: string): Promise<number> {
  const text = await world.consoleLog(instance).catch(() => '')
  return text.split('MALLEE-GUEST ready').length - 1
}

/** How many of the pings that `from` sends to `to`, five a second, are lost while `body` runs. */
export async function pingsDuring(
  world: World,
  from: TourInstance,
  to: TourInstance,
  body: () => Promise<void>,
): Promise<number> {
  const shell = await world.shell(from.id)
  try {
    await shell.run(
      `rm -f /tmp/pings; ping -i 0.2 -W 2 ${to.ipv4} > /tmp/pings & echo $! > /tmp/pid`,
    )
    await until(
      'pings are answered',
      async () => (await shell.run('grep -c seq= /tmp/pings')).output.trim() > '2',
      { timeoutMs: 20_000, everyMs: 200 },
    )
    await body()
    const before = Number((await shell.run('grep -c seq= /tmp/pings')).output)
    await until(
      'pings go on being answered',
      async () => Number((await shell.run('grep -c seq= /tmp/pings')).output) > before + 3,
      { timeoutMs: 20_000, everyMs: 200 },
    )
    await shell.run('kill -INT $(cat /tmp/pid); sleep 1')
    const { output } = await shell.run('tail -3 /tmp/pings')
    const match = /(\d+) packets transmitted, (\d+) (?:packets )?received/.exec(output)
    // The last one may be on its way when ping is told to stop.
    return Math.max(0, Number(match?.[1]) - Number(match?.[2]) - 1)
  } finally {
    shell.close()
  }
}

/** Packets between racks in the internet while `body` runs: WireGuard ones, and what else. */
export async function wireguardOnly(
  world: World,
  body: () => Promise<void>,
): Promise<{ wireguard: number; others: string[] }> {
  const uplinks = world.rackUplinks()
  const lines = await between(world, uplinks, uplinks, body)
  const others = lines.filter((line) => !/\.51820 > .*\.51820: UDP/.test(line))
  return { wireguard: lines.length - others.length, others }
}

/** Packets in the internet from one of either to one of the other addresses, by tcpdump(8). */
export async function between(
  world: World,
  some: readonly string[],
  others: readonly string[],
  body: () => Promise<void>,
): Promise<string[]> {
  const internet = world.host('internet')
  const logFile = join(internet.dir, 'tcpdump.log')
  const capture = await internet.start(['tcpdump', '-lnni', 'any', '-Q', 'in'], { logFile })
  const text = (): Promise<string> => readFile(logFile, 'utf8').catch(() => '')
  await until('tcpdump listens', async () => (await text()).includes('listening on'))
  await body()
  await capture.stop('SIGINT')
  const isOf = (list: readonly string[], end: string): boolean => list.some((one) => isAt(end, one))
  return (await text()).split('\n').filter((line) => {
    const [, from = '', to = ''] = /IP6? (\S+) > (\S+):/.exec(line) ?? []
    return (isOf(some, from) && isOf(others, to)) || (isOf(others, from) && isOf(some, to))
  })
}

function isAt(endpoint: string, address: string): boolean {
  return endpoint === address || endpoint.startsWith(`${address}.`)
}
