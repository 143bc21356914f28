// Inside a lone machine: the kernel's own iSCSI initiator, with open-iscsi's iscsiadm(8), one
// session for each login. The secrets are of the test, so they may stand in its arguments.

import { readFileSync, writeFileSync } from 'node:fs'
import type { Grant, WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { exec } from '../../../common/exec.ts'
import { until } from '../../../sandbox/until.ts'

/** What iscsiadm ends with when a login is refused. */
export const REFUSED = 24

/** What it ends with when an interface is there already. */
const THERE = 15
const LONG = { timeoutMs: 60_000 }

export interface Login {
  readonly portal: string
  readonly targetIqn: string
  readonly grant: Pick<Grant, 'initiatorIqn' | 'chapUser' | 'chapSecret'>
}

/** Once, before the first login. */
export async function startInitiator(): Promise<void> {
  writeFileSync('/etc/iscsi/initiatorname.iscsi', 'InitiatorName=iqn.2026-01.org.mallee:none\n')
  await exec(['mkdir', '-p', '/run/lock/iscsi'])
  await exec(['iscsid'])
}

export function loginOf({ targetIqn, grants }: WantedVolume, portal: string, at = 0): Login {
  const grant = grants[at]
  if (grant === undefined) throw new RangeError(`${targetIqn} is not granted to ${at + 1}`)
  return { portal, targetIqn: grant.targetIqn ?? targetIqn, grant }
}

/** iscsiadm's exit code: 0, or REFUSED. Its disk waits for a session that ended for `patienceS`. */
export async function login(one: Login, patienceS = 60): Promise<number> {
  const { grant } = one
  const iface = ['iscsiadm', '-m', 'iface', '-I', grant.chapUser]
  await exec([...iface, '-o', 'new'], { okCodes: [0, THERE] })
  await exec([...iface, '-o', 'update', '-n', 'iface.initiatorname', '-v', grant.initiatorIqn])
  await exec([...nodeOf(one), '-o', 'new'])
  const settings = [
    ['node.session.auth.authmethod', 'CHAP'],
    ['node.session.auth.username', grant.chapUser],
    ['node.session.auth.password', grant.chapSecret],
    ['node.session.timeo.replacement_timeout', `${patienceS}`],
    ['node.session.initial_login_retry_max', '1'],
  ].flatMap(([name = '', value = '']) => ['-n', name, '-v', value])
  await exec([...nodeOf(one), '-o', 'update', ...settings])
  const { code } = await exec([...nodeOf(one), '--login'], { okCodes: [0, REFUSED], ...LONG })
  return code
}

/** Logs in and waits for its disk: /dev/sd and a letter. */
export async function attach(one: Login, patienceS?: number): Promise<string> {
  const code = await login(one, patienceS)
  if (code !== 0) throw new Error(`${one.grant.chapUser} cannot log in: ${code}`)
  let disk: string | null = null
  await until(`${one.grant.chapUser} has a disk`, async () => {
    disk = await diskOf(one)
    return disk !== null
  })
  return `/dev/${disk}`
}

export async function detach(one: Login): Promise<void> {
  await exec([...nodeOf(one), '--logout'], LONG)
}

/** Asks for sizes anew. */
export async function rescan(one: Login): Promise<void> {
  await exec([...nodeOf(one), '--rescan'], LONG)
}

export function sizeOf(disk: string): number {
  return Number(readFileSync(`/sys/block/${disk.slice('/dev/'.length)}/size`, 'utf8')) * 512
}

async function diskOf({ targetIqn, grant }: Login): Promise<string | null> {
  const { stdout } = await exec(['iscsiadm', '-m', 'session', '-P', '3'], LONG)
  const target = stdout.split('Target: ').find((part) => part.startsWith(`${targetIqn} `))
  // A session each, in one portal or another.
  const session = target
    ?.split('Interface:')
    .find((part) => part.includes(`Iface Name: ${grant.chapUser}\n`))
  return /Attached scsi disk (\w+)\s+State: running/.exec(session ?? '')?.[1] ?? null
}

function nodeOf({ portal, targetIqn, grant }: Login): string[] {
  return ['iscsiadm', '-m', 'node', '-T', targetIqn, '-p', portal, '-I', grant.chapUser]
}
