// vtun(8) as Eucalyptus configured it between its clusters (tools/vtunall.conf.template of
// Eucalyptus 4): type ether, proto tcp, encrypt yes, compress no, speed 0, keepalive yes.

import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomHex } from '../../common/clock.ts'
import type { SandboxHost } from '../../sandbox/host.ts'
import { until } from '../../sandbox/until.ts'
import type { Path } from '../wire.ts'

const PROGRAM = '/usr/sbin/vtund'
const SESSION = 'racks'
const DEVICE = 'vtun0'
const PORT = 5000
const ADDRESSES = ['10.99.86.1', '10.99.86.2'] as const

/** Why there is no vtun here; null when there is. */
export function vtunMissing(): string | null {
  return existsSync(PROGRAM) ? null : 'vtund is not installed (Debian 13 dropped the package vtun)'
}

/** The tunnel from one host to another, whose IPv4 address in the underlay is `server`. */
export async function vtun(from: SandboxHost, to: SandboxHost, server: string): Promise<Path> {
  const password = randomHex(16)
  for (const [index, host] of [from, to].entries()) {
    // The password is not for other users of the machine.
    await writeFile(configFile(host), vtunConfig(password), { mode: 0o600 })
    await writeFile(opensslFile(host), OPENSSL_CONF)
    await host.exec(['mkdir', '-p', '/run/lock/vtund', '/run/vtund'])
    // Up before vtund opens it: vtund gives up when it reads from one that is still down.
    await host.exec(['ip', 'tuntap', 'add', 'dev', DEVICE, 'mode', 'tap'])
    await host.exec(['ip', 'address', 'add', `${ADDRESSES[index]}/24`, 'dev', DEVICE])
    await host.exec(['ip', 'link', 'set', DEVICE, 'up'])
  }
  await start(to, ['-s'])
  // A client whose server does not listen yet gives up.
  const listens = async (): Promise<boolean> =>
    (await to.exec(['ss', '-Hltn', `sport = :${PORT}`])).stdout !== ''
  await until(`vtund listens on ${to.name}`, listens)
  await start(from, [SESSION, server])
  const [source, target] = ADDRESSES
  return { name: 'vtun, ether mode, encrypted', from, to, source, target }
}

/** The same for both ends. */
function vtunConfig(password: string): string {
  return `options {
  port ${PORT};
  syslog daemon;
}
${SESSION} {
  passwd ${password};
  device ${DEVICE};
  type ether;
  proto tcp;
  encrypt yes;
  compress no;
  speed 0;
  keepalive yes;
}
`
}

// `encrypt yes` is Blowfish, which OpenSSL 3 has in its legacy provider only.
const OPENSSL_CONF = `openssl_conf = init
[init]
providers = providers
[providers]
default = activated
legacy = activated
[activated]
activate = 1
`

async function start(host: SandboxHost, args: readonly string[]): Promise<void> {
  const argv = [PROGRAM, '-n', '-f', configFile(host), ...args]
  const logFile = join(host.dir, 'vtund.log')
  await host.start(argv, { logFile, env: { OPENSSL_CONF: opensslFile(host) } })
}

function configFile(host: SandboxHost): string {
  return join(host.dir, 'vtund.conf')
}

function opensslFile(host: SandboxHost): string {
  return join(host.dir, 'vtun-openssl.cnf')
}
