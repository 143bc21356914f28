// Serial consoles through a gateway, over a WebSocket, to simulated guests: of a CC's own host, and
// of a node behind it.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import {
  DisableSerialConsoleAccessCommand,
  EnableSerialConsoleAccessCommand,
  GetSerialConsoleAccessStatusCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { leave, serialRefusal, serialUser, serialWish, whenFree } from '../support/serial-client.ts'
import { addTwoRacks } from '../support/simulated-rack.ts'
import { idsOf, makeImage, reach, run } from './support.ts'

const cloud = await startCloud({ after })
const { cc, node } = await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const image = await makeImage(cloud, ec2)
const inA = { ImageId: image, Placement: { AvailabilityZone: 'mallee-1-a' } }
const ids = idsOf(await run(ec2, { ...inA, count: 4 }))
await reach(ec2, ids, 'running')

function guestOf(host: typeof cc): string {
  const found = ids.find((id) => host.roles.statuses().some(({ key }) => key === `instance/${id}`))
  if (found === undefined) throw new Error(`no instance on ${host.name}`)
  return found
}

const connect = (instance: string) => serialUser(serialWish(cloud, { instance }))
const refused = (instance: string) => serialRefusal(serialWish(cloud, { instance }))

test('access is off until the account turns it on', async () => {
  const instance = guestOf(cc)
  const before = await ec2.send(new GetSerialConsoleAccessStatusCommand())
  assert.equal(before.SerialConsoleAccessEnabled, false)
  const { status, code } = await refused(instance)
  assert.deepEqual([status, code], [403, 'SerialConsoleAccessDisabledException'])
  await assert.rejects(ec2.send(new EnableSerialConsoleAccessCommand({ DryRun: true })), {
    name: 'DryRunOperation',
  })
  const made = await ec2.send(new EnableSerialConsoleAccessCommand())
  assert.equal(made.SerialConsoleAccessEnabled, true)
  const now = await ec2.send(new GetSerialConsoleAccessStatusCommand())
  assert.equal(now.SerialConsoleAccessEnabled, true)
  assert.equal(now.ManagedBy, 'account')
})

for (const [where, host] of [
  ["a CC's own host", cc],
  ['a node', node],
] as const) {
  test(`bytes go both ways to a guest of ${where}, in order and none is lost`, async () => {
    const user = await connect(guestOf(host))
    user.send('hello\r')
    await user.hears('hello\r')
    // Far more than what may be under way, in messages of all sizes.
    let sent = 'hello\r'
    for (let n = 0; sent.length < 1 << 20; n += 1) {
      const text = `${n},`.repeat(1 + ((n * 7919) % 9_000))
      user.send(text)
      sent += text
    }
    await until('all came back', () => user.heard().length >= sent.length, { timeoutMs: 20_000 })
    assert.equal(user.heard() === sent, true)
    user.socket.close()
    await user.closed
  })
}

test('one user at a time has a console, and the next one when that user left', async () => {
  const instance = guestOf(node)
  const first = await connect(instance)
  const { status, code, message } = await refused(instance)
  assert.deepEqual([status, code], [409, 'SerialConsoleSessionLimitExceededException'])
  assert.match(message, /currently has 1 active serial console session/)
  const other = await connect(guestOf(cc))
  await leave(first)
  await leave(await whenFree(() => connect(instance)))
  await leave(other)
})

test('a session ends with its reason when the host or the access goes, or the guest', async () => {
  const [onCc, onNode] = [guestOf(cc), guestOf(node)]
  const first = await whenFree(() => connect(onNode))
  await node.stop()
  assert.deepEqual(await first.closed, { code: 1000, reason: 'the agent of host a-nc stops' })
  assert.equal((await refused(onNode)).code, 'EC2InstanceUnavailableException')
  await node.start()
  await leave(await whenFree(() => connect(onNode)))
  const second = await whenFree(() => connect(onCc))
  await ec2.send(new DisableSerialConsoleAccessCommand())
  const { code, reason } = await second.closed
  assert.equal(code, 1008)
  assert.match(reason, /no serial console access/)
  await ec2.send(new EnableSerialConsoleAccessCommand())
  const third = await whenFree(() => connect(onCc))
  await ec2.send(new StopInstancesCommand({ InstanceIds: [onCc] }))
  assert.deepEqual(await third.closed, { code: 1000, reason: 'the serial port was closed' })
  await reach(ec2, [onCc], 'stopped')
  assert.equal((await refused(onCc)).code, 'EC2InstanceStateInvalidException')
})

test('a gateway that stops says so to its users, and what went on is counted', async () => {
  const instance = guestOf(node)
  const user = await whenFree(() => connect(instance))
  const { adminPort } = cloud.config
  const metrics = async () => (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  const before = await metrics()
  assert.match(before, /^mallee_serial_console_sessions 1$/m)
  assert.match(before, /^mallee_serial_console_bytes_total\{direction="in"\} \d{7}$/m)
  const refusedOnce =
    /action="StartSerialConsoleSession",code="SerialConsoleAccessDisabledException"\} 1$/m
  assert.match(before, refusedOnce)
  await cloud.stop()
  assert.deepEqual(await user.closed, { code: 1001, reason: 'the gateway stops' })
  await cloud.start()
  await leave(await whenFree(() => connect(instance)))
})
