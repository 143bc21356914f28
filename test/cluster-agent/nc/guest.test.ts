// The NC's role from end to end: real QEMU, real switch, real guests, in a namespace of its own.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { listPorts } from '../../../cluster-agent/host/ovs.ts'
import { listTaps } from '../../../cluster-agent/host/tap.ts'
import { Reaches } from '../../../cluster-agent/nc/reach.ts'
import type { NcRole } from '../../../cluster-agent/nc/reconcilers.ts'
import { wantedMachines } from '../../../cluster-agent/nc/wanted.ts'
import { instanceDir, instancesDir } from '../../../cluster-agent/paths.ts'
import { type Log, silentLog } from '../../../common/log.ts'
import { Power } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { InstanceState, Reachability } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { until } from '../../../sandbox/until.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  consoleText,
  GATEWAY,
  type Guests,
  guestId,
  guestIpv4,
  guestIpv6,
  guestName,
  guestPid,
  guestShell,
  HOST,
  SECOND_IPV4,
  SECOND_MAC,
  startGuests,
  statusOf,
} from './guests.ts'

const BOOT_MS = 90_000
/** More than what socket and QEMU keep. */
const LINES = 45_000

describe('ncRole with real guests', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-nc-'))
  let guests: Guests
  let role: NcRole

  before(async () => {
    guests = await startGuests(dir)
    role = guests.newRole()
  })

  after(async () => {
    await role?.letGo()
    await guests?.host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const ready = (n: number, boots = 1) =>
    until(
      `guest ${n} is ready`,
      async () => (await consoleText(guests, n)).split('MALLEE-GUEST ready').length > boots,
      { timeoutMs: BOOT_MS },
    )

  test('pass starts guests that get their addresses and serve their names', async () => {
    await role.pass(guests.desired([{ n: 1 }, { n: 2 }]))
    for (const n of [1, 2]) assert.equal(statusOf(role, n).state, InstanceState.RUNNING)
    for (const n of [1, 2]) await ready(n)
    const text = await consoleText(guests, 1)
    assert.ok(text.includes(`MALLEE-GUEST dhcp v4=${guestIpv4(1)} host=${guestName(1)}`), text)
    assert.ok(text.includes(`MALLEE-GUEST v6=${guestIpv6(1)}`), text)
    const { exec } = guests.host
    for (const address of [guestIpv4(2), `[${guestIpv6(2)}]`]) {
      const { stdout } = await exec(['curl', '-sS', '--max-time', '5', `http://${address}/`])
      assert.equal(stdout, `${guestName(2)}\n`)
    }
    const bytes = await role.consoleOutput(guestId(1), 1_000)
    assert.match(Buffer.from(bytes).toString(), /MALLEE-GUEST ready/)
  })

  test('a guest reaches its neighbour with its own addresses and with no others', async () => {
    const ping = (from: string, to: string) =>
      guestShell(guests, 1, `ping -c 2 -W 1 -I ${from} ${to}`)
    assert.match(await ping(guestIpv4(1), guestIpv4(2)), / 0% packet loss/)
    assert.match(await ping(guestIpv6(1), guestIpv6(2)), / 0% packet loss/)

    await guestShell(
      guests,
      1,
      'ip addr add 10.1.0.99/24 dev eth0; ip addr add fd10:1::99 dev eth0',
    )
    assert.match(await ping('10.1.0.99', guestIpv4(2)), / 100% packet loss/)
    assert.match(await ping('fd10:1::99', guestIpv6(2)), / 100% packet loss/)

    const [mac, other] = ['02:00:00:00:00:01', '02:00:00:00:00:77']
    const withMac = (address: string) =>
      `ip link set eth0 address ${address}; ip neigh flush dev eth0`
    await guestShell(guests, 1, withMac(other))
    assert.match(await ping(guestIpv4(1), guestIpv4(2)), / 100% packet loss/)
    await guestShell(guests, 1, withMac(mac))
    assert.match(await ping(guestIpv4(1), GATEWAY), / 0% packet loss/)
  })

  test('an interface comes and goes while its guest runs, and talks in between', async () => {
    const shell = (line: string) => guestShell(guests, 1, line)
    const links = () => shell('cat /sys/class/net/*/address')
    await role.pass(guests.desired([{ n: 1, second: true }, { n: 2 }]))
    await until('the guest has it', async () => (await links()).includes(SECOND_MAC))
    await shell(`ip link set eth1 up; ip addr add ${SECOND_IPV4}/32 dev eth1`)
    await shell(`ip route add ${guestIpv4(2)}/32 dev eth1 src ${SECOND_IPV4}`)
    assert.match(await shell(`ping -c 2 -W 2 -I eth1 ${guestIpv4(2)}`), / 0% packet loss/)
    const withTwo = await listTaps(guests.host.exec)
    await role.pass(guests.desired([{ n: 1 }, { n: 2 }]))
    await until('the guest has let go', async () => !(await links()).includes(SECOND_MAC))
    await role.pass(guests.desired([{ n: 1 }, { n: 2 }]))
    assert.equal((await listTaps(guests.host.exec)).length, withTwo.length - 1)
    assert.match(await shell(`ping -c 2 -W 2 ${guestIpv4(2)}`), / 0% packet loss/)
  })

  test('who is asked answers by either family, and who has no link is unreachable', async () => {
    const { exec } = guests.host
    let nowMs = 0
    const [one] = wantedMachines(guests.desired([{ n: 1 }]), HOST)
    assert.ok(one)
    const nativeOf = one.nics.map((nic) => ({ ...nic, ipv4: '' }))
    for (const machine of [one, { ...one, nics: nativeOf }]) {
      const reaches = new Reaches({ exec, sw: guests.sw })
      const becomes = (verdict: Reachability) =>
        until(`guest 1 is ${Reachability[verdict]}`, async () => {
          nowMs += 20_000
          await reaches.round([machine], nowMs)
          return reaches.of(one.id)?.verdict === verdict
        })
      await becomes(Reachability.REACHABLE)
      await guestShell(guests, 1, 'ip link set eth0 down')
      await becomes(Reachability.UNREACHABLE)
      await guestShell(guests, 1, `ip link set eth0 up; ip addr add ${guestIpv6(1)}/64 dev eth0`)
      await becomes(Reachability.REACHABLE)
    }
  })

  test('the serial port is one client’s, whose pace the guest keeps; the log goes on', async () => {
    const port = await role.guests.serialPort(guestId(1))
    let heard = ''
    port.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1')
    })
    port.write('\necho out-$((40 + 2))\n')
    await until('the guest answers', () => heard.includes('out-42'))
    await until('the log has it', async () => (await consoleText(guests, 1)).includes('out-42'))
    await assert.rejects(role.guests.serialPort(guestId(1)), { code: 'Conflict' })
    await assert.rejects(role.guests.serialPort(guestId(3)), { code: 'NotFound' })
    port.write(`seq 1 ${LINES}; echo end-$((40 + 2))\n`)
    await until('it is on its way', () => heard.includes('\n20\r\n'))
    port.pause()
    const { exec } = guests.host
    await exec(['curl', '-sS', '--max-time', '5', `http://${guestIpv4(1)}/`])
    port.resume()
    await until('all of it came', () => heard.includes('end-42'), { timeoutMs: BOOT_MS })
    const numbers = heard.split('\n').filter((line) => /^\d+\r$/.test(line))
    assert.equal(numbers.length, LINES)
    assert.ok(numbers.every((line, index) => Number(line) === index + 1))
    // Gone without a word, as when its agent is killed: the guest says the rest to the log alone.
    port.write(`seq 1 ${LINES}; echo last-$((40 + 2))\n`)
    await until('it is on its way', () => heard.endsWith('\n') && heard.includes('\n200\r\n'))
    port.pause()
    port.destroy()
    const isThere = async () => (await consoleText(guests, 1)).includes('last-42')
    await until('the guest got to its end', isThere, { timeoutMs: BOOT_MS })
    const next = await role.guests.serialPort(guestId(1))
    next.destroy()
  })

  test('a screenshot shows the screen, and an interrupt reaches the kernel', async () => {
    const picture = await role.guests.screenshot(guestId(1), true)
    assert.equal(Buffer.from(picture.subarray(6, 10)).toString(), 'JFIF')
    const left = readdirSync(instanceDir(guests.host.paths, guestId(1)))
    assert.deepEqual(
      left.filter((name) => name.endsWith('.ppm')),
      [],
    )
    const nmis = () => guestShell(guests, 1, 'grep NMI: /proc/interrupts')
    const before = await nmis()
    await role.guests.interrupt(guestId(1))
    await until('the guest has counted it', async () => (await nmis()) !== before)
    await assert.rejects(role.guests.screenshot('i-00000000000000009', false), {
      code: 'NotFound',
    })
  })

  test('the host itself is out of reach at the tap', async () => {
    // An address of the host on a network that the guest has no port in.
    await guests.host.exec(['ip', 'address', 'add', '192.0.2.1/32', 'dev', 'lo'])
    const tap = (await listTaps(guests.host.exec))[0]?.name ?? ''
    const { stdout } = await guests.host.exec(['cat', `/sys/class/net/${tap}/address`])
    const line = `ip route add 192.0.2.1 dev eth0; arp -s 192.0.2.1 ${stdout.trim()}`
    await guestShell(guests, 1, line)
    assert.match(await guestShell(guests, 1, 'ping -c 2 -W 1 192.0.2.1'), / 100% packet loss/)
  })

  test('a new agent adopts what runs, without a step', async () => {
    const pid = await guestPid(guests, 1)
    await role.letGo()
    const steps: unknown[] = []
    const log: Log = { ...silentLog, info: (event, fields) => steps.push([event, fields]) }
    role = guests.newRole(log)
    await role.pass(guests.desired([{ n: 1 }, { n: 2 }]))
    assert.deepEqual(steps, [])
    assert.equal(await guestPid(guests, 1), pid)
    assert.equal(statusOf(role, 1).state, InstanceState.RUNNING)
  })

  test('a greater rebootCount is one reset of the same QEMU', async () => {
    const pid = await guestPid(guests, 1)
    const desired = guests.desired([{ n: 1, rebootCount: 1 }, { n: 2 }])
    await role.pass(desired)
    await role.pass(desired)
    assert.equal(statusOf(role, 1).rebootCount, 1)
    await ready(1, 2)
    assert.equal((await consoleText(guests, 1)).split('MALLEE-GUEST boot').length, 3)
    assert.equal(await guestPid(guests, 1), pid)
  })

  test('a killed QEMU is told at once, with the reason, and not started again', async () => {
    const told = new Promise<void>((resolve) => {
      const off = role.onStatus(() => {
        off()
        resolve()
      })
    })
    await guests.host.exec(['kill', '-KILL', await guestPid(guests, 1)])
    await told
    const check = () => {
      const { state, reasonCode, reasonMessage } = statusOf(role, 1)
      assert.equal(state, InstanceState.STOPPED)
      assert.equal(reasonCode, 'Server.InternalError')
      assert.match(reasonMessage, /ended unexpectedly/)
    }
    check()
    await role.pass(guests.desired([{ n: 1, rebootCount: 1 }, { n: 2 }]))
    check()
    // A new agent knows it, too.
    await role.letGo()
    role = guests.newRole()
    await role.pass(guests.desired([{ n: 1, rebootCount: 1 }, { n: 2 }]))
    check()
  })

  test('a guest that powers off is stopped by itself', async () => {
    // Behind the image, where only this disk has something.
    await guestShell(guests, 2, 'echo kept | dd of=/dev/vda bs=1M seek=900; sync')
    await guestShell(guests, 2, 'poweroff')
    await until('guest 2 has stopped', () => statusOf(role, 2).state === InstanceState.STOPPED)
    await role.pass(guests.desired([{ n: 2 }]))
    assert.equal(statusOf(role, 2).reasonCode, 'Client.InstanceInitiatedShutdown')
    assert.equal(existsSync(instanceDir(guests.host.paths, guestId(1))), false)
  })

  test('one start more boots it from its disk, and a forced stop does not ask it', async () => {
    const ended = statusOf(role, 2)
    await role.pass(guests.desired([{ n: 2 }]))
    assert.equal(statusOf(role, 2).state, InstanceState.STOPPED, 'not by itself')
    await role.pass(guests.desired([{ n: 2, startCount: 1 }]))
    const { state, startCount } = statusOf(role, 2)
    assert.deepEqual([state, startCount], [InstanceState.RUNNING, ended.startCount + 1])
    await ready(2, 2)
    const read = await guestShell(guests, 2, 'dd if=/dev/vda bs=1M skip=900 count=1 | head -n 1')
    assert.match(read, /kept/)
    const stopped = { n: 2, power: Power.STOPPED, startCount: 1, forceStop: true }
    await role.pass(guests.desired([stopped]))
    assert.equal(statusOf(role, 2).state, InstanceState.STOPPED)
    assert.equal(statusOf(role, 2).reasonCode, 'Client.UserInitiatedShutdown')
    await role.pass(guests.desired([{ n: 2, startCount: 2 }]))
    assert.equal(statusOf(role, 2).state, InstanceState.RUNNING)
  })

  test('terminated and forgotten guests leave nothing', async () => {
    await role.pass(guests.desired([{ n: 3 }, { n: 2 }]))
    assert.equal(statusOf(role, 3).state, InstanceState.RUNNING)
    await role.pass(guests.desired([{ n: 3, power: Power.TERMINATED }]))
    assert.equal(statusOf(role, 3).state, InstanceState.TERMINATED)
    const { exec, paths } = guests.host
    assert.deepEqual(readdirSync(instancesDir(paths)), [])
    assert.deepEqual(await listTaps(exec), [])
    const ports = await listPorts(exec, guests.sw)
    assert.deepEqual(
      ports.map(({ name }) => name).filter((name) => name.startsWith('mt')),
      [],
    )
    assert.equal((await exec(['pgrep', '-c', 'qemu'], { okCodes: [0, 1] })).stdout, '0\n')
    await role.pass(guests.desired([]))
    assert.deepEqual(role.statuses(), [])
    await role.removeAll()
    assert.equal((await exec(['nft', 'list', 'tables'])).stdout, '')
  })
})
