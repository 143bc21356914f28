// How a gateway comes up, and what is left when it cannot; what its local socket refuses.

import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { randomHex, systemClock } from '../../common/clock.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { filesOf } from '../../gateway/files.ts'
import { initFiles, initState, keyShown } from '../../gateway/init.ts'
import { openCloud, startGateway } from '../../gateway/main.ts'
import { regionNote } from '../../gateway/region.ts'
import { startCloud } from '../support/cloud.ts'

const MALLEE = join(import.meta.dirname, '../../gateway/cli/main.ts')
/** For a program to start on a busy machine. */
const START_MS = 60_000

const cloud = await startCloud({ after })
const { config } = cloud
const blobs = filesOf(config.stateDir).blobs
const other = await startCloud({ after })

const RACK_TAGS = { vlanScope: 'rack' } as const

test('startGateway with a port in use says so and leaves nothing open', async () => {
  await cloud.stop()
  for (const port of ['apiPort', 'adminPort', 'sessionPort', 'joinPort'] as const) {
    const taken = { ...config, [port]: other.config[port] }
    await assert.rejects(startGateway(taken, silentLog), /EADDRINUSE|cannot listen/)
  }
  const sameSocket = { ...config, socket: other.config.socket }
  await assert.rejects(startGateway(sameSocket, silentLog), { code: 'Conflict' })
  await cloud.start()
  assert.deepEqual((await cloud.status()).racks, [])
  assert.deepEqual((await other.status()).racks, [])
})

test('startGateway twice on one store is refused, and the first one goes on', async () => {
  const ports = { apiPort: 0, adminPort: 0, sessionPort: 0, joinPort: 0 }
  const socket = join(cloud.dir, 'second.sock')
  const second = startGateway({ ...config, ...ports, socket }, silentLog)
  await assert.rejects(second, { code: 'Conflict' })
  assert.deepEqual((await cloud.status()).racks, [])
})

test('init goes on where it failed, and never makes a second cloud of one store', async () => {
  const stateDir = join(cloud.dir, 'again')
  const fresh = { ...config, stateDir, store: `sqlite:${join(stateDir, 'store.db')}` }
  await initFiles({ clock: systemClock }, stateDir, 'again')
  await assert.rejects(startGateway(fresh, silentLog), { code: 'BadConfig' })
  await initFiles({ clock: systemClock }, stateDir, 'again')
  const { state, sealer, close } = await openCloud(fresh, silentLog, { create: true })
  try {
    const parts = { state, sealer, clock: systemClock, randomHex }
    const request = { name: 'again', region: 'mallee-1', ipv4Pools: ['10.0.0.0/8'] }
    const answer = await initState(parts, request)
    assert.match(answer.accessKeyId, /^AKIA[A-Z2-7]{16}$/)
    assert.deepEqual(await initState(parts, request), answer, 'nobody has seen it yet')
    for (const change of [{ name: 'b' }, { region: 'b-1' }, { ipv4Pools: [] }, RACK_TAGS]) {
      const message = /died here .*: repeat that one \(again mallee-1 10.0.0.0\/8 cloud\)/
      const changed = initState(parts, { ...request, ...change })
      await assert.rejects(changed, { code: 'Conflict', message })
    }
    await keyShown(state)
    const message = /holds a cloud already/
    await assert.rejects(initState(parts, request), { code: 'Conflict', message })
    assert.equal(state.view().all('access-key').length, 1)
  } finally {
    await close()
  }
})

for (const [when, commits] of [
  ['before its first commit', 0],
  ['between its commits', 1],
  ['after its last commit', 2],
] as const) {
  test(`init that dies ${when} is made whole by the next init or gateway`, async () => {
    const stateDir = join(cloud.dir, `dead-${commits}`)
    const store = `sqlite:${join(stateDir, 'store.db')}`
    const ports = { apiPort: 0, adminPort: 0, sessionPort: 0, joinPort: 0 }
    const fresh = { ...config, ...ports, stateDir, store, socket: join(stateDir, 's.sock') }
    await initFiles({ clock: systemClock }, stateDir, 'dead')
    const init = async (mostCommits: number): Promise<unknown> => {
      const { state, sealer, close } = await openCloud(fresh, silentLog, { create: true })
      let made = 0
      const update: typeof state.update = async (change) => {
        if (made === mostCommits) throw new Error('dead')
        const result = await state.update(change)
        made += 1
        return result
      }
      const mortal = { ...state, update }
      const parts = { state: mortal, sealer, clock: systemClock, randomHex }
      const request = { name: 'dead', region: 'mallee-1', ipv4Pools: ['10.0.0.0/8'] }
      return await initState(parts, request).finally(close)
    }
    if (commits < 2) await assert.rejects(init(commits), /dead/)
    else await init(commits)
    // A gateway may come first.
    if (commits === 0) await init(Number.POSITIVE_INFINITY)
    for (const start of ['first', 'second']) {
      await (await startGateway(fresh, silentLog)).stop()
      const { state, close } = await openCloud(fresh, silentLog, { create: false })
      const vpcs = state.view().all('vpc')
      const accounts = state.view().all('account')
      const gateways = state.view().all('internet-gateway')
      await close()
      assert.equal(accounts.length, 1)
      assert.deepEqual(
        vpcs.map((vpc) => [vpc.account, vpc.isDefault]),
        [[accounts[0]?.id, true]],
        `${start} start`,
      )
      assert.deepEqual(
        gateways.map((one) => one.vpc),
        vpcs.map((vpc) => vpc.id),
      )
    }
  })
}

test('mallee init that dies with its key unsaid says it when it is run again, and only then', async () => {
  const stateDir = join(cloud.dir, 'unsaid')
  const file = join(stateDir, 'gateway.json')
  const region = 'office'
  const names = ['--name', 'unsaid', '--region', region]
  const flags = [...names, '--state-dir', stateDir, '--config', file, '--json']
  const argv = [process.execPath, MALLEE, 'init', ...flags]
  const fresh = { ...config, stateDir, store: `sqlite:${join(stateDir, 'store.db')}` }
  await initFiles({ clock: systemClock }, stateDir, 'unsaid')
  const { state, sealer, close } = await openCloud(fresh, silentLog, { create: true })
  const parts = { state, sealer, clock: systemClock, randomHex }
  const request = { name: 'unsaid', region, ipv4Pools: ['10.0.0.0/8'] }
  const died = await initState(parts, request).finally(close)
  const { stdout, stderr } = await exec(argv, { timeoutMs: START_MS })
  assert.deepEqual(JSON.parse(stdout), died)
  assert.equal(stderr, `Note: ${regionNote(region)}.\n`)
  const again = await exec(argv, { okCodes: [3], timeoutMs: START_MS })
  assert.match(again.stderr, /^Conflict: the store holds a cloud already/)
  assert.ok(!again.stdout.includes(died.secretAccessKey))
})

test('mallee doctor says which tools want another region than the one of the cloud here', async () => {
  const flags = ['--socket', config.socket, '--json']
  const { stdout } = await exec([process.execPath, MALLEE, 'doctor', ...flags], {
    timeoutMs: START_MS,
  })
  const { region } = cloud.init
  const said = JSON.parse(stdout) as { region: string; regionNote: string | null }
  assert.deepEqual([said.region, said.regionNote], [region, regionNote(region)])
})

test('an import that was cut off is gone after the next start', async () => {
  writeFileSync(join(blobs, '.0123456789abcdef.partial'), 'half')
  await cloud.stop()
  await cloud.start()
  assert.deepEqual(readdirSync(blobs), [])
})

for (const [what, bytes, message] of [
  ['a file that is no multiple of 512 bytes', Buffer.alloc(513), /multiple of 512/],
  ['an empty file', Buffer.alloc(0), /is empty/],
  ['a qcow2 image with a backing file', qcow2(8, 3n), /backing file/],
  ['a qcow2 image with an external data file', qcow2(72, 4n), /external data file/],
  ['a qcow2 image that is cut short', qcow2(8, 0n).subarray(0, 60), /cut short/],
] as const) {
  test(`an import of ${what} is refused, and nothing of it is kept`, async () => {
    const path = join(cloud.dir, 'bad')
    writeFileSync(path, bytes)
    const file = { path, onProgress: () => undefined }
    const call = cloud.local({ method: 'PUT', path: '/v1/blobs?name=bad', file })
    await assert.rejects(call, { code: 'BadArgument', message })
    assert.deepEqual(readdirSync(blobs), [])
  })
}

for (const [what, call, code] of [
  ['a role that does not exist', tokenCall({ roles: ['boss'] }), 'BadArgument'],
  ['no role', tokenCall({ roles: [] }), 'BadArgument'],
  ['a rack name with a slash', tokenCall({ rack: 'a/b' }), 'BadArgument'],
  ['a token for a year', tokenCall({ minutes: 525_600 }), 'BadArgument'],
  ['an unknown field', tokenCall({ colour: 'red' }), 'BadArgument'],
  ['too much', tokenCall({ rack: 'a'.repeat(70_000) }), 'BadArgument'],
  ['to drain an unknown rack', { method: 'POST', path: '/v1/racks/zz/drain' }, 'RackNotFound'],
  ['to remove an unknown rack', { method: 'DELETE', path: '/v1/racks/zz' }, 'RackNotFound'],
] as const) {
  test(`the local socket refuses ${what} with ${code}`, async () => {
    await assert.rejects(cloud.local(call), { code })
  })
}

/** The start of a version 3 image, with a 64-bit field of its header set. */
function qcow2(at: number, value: bigint): Buffer {
  const head = Buffer.alloc(1024)
  head.write('QFI\xfb', 'latin1')
  head.writeUInt32BE(3, 4)
  head.writeBigUInt64BE(1n << 30n, 24)
  head.writeBigUInt64BE(value, at)
  return head
}

function tokenCall(change: object) {
  const body = { rack: 'a', roles: ['nc'], minutes: 10, ...change }
  return { method: 'POST', path: '/v1/tokens', body } as const
}
