// Volumes with the real tgtd and QEMU's initiator: who gets in, who is thrown out, what survives.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as tgt from '../../../cluster-agent/host/tgt.ts'
import type { VolumeBackend, VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import {
  reconcileVolumes,
  type VolumeStatus,
  type VolumesParts,
} from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { tgtTargets } from '../../../cluster-agent/sc/volumes/tgt.ts'
import { parseWantedVolume, type WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'
import { NO_RESTORES } from '../../support/no-restores.ts'
import { Client, type Login, qemuIo } from './initiator.ts'
import { grantOf, idOf, ownOf } from './volume-wishes.ts'

const PORTAL = '[::1]:3260'
const MIB = 1 << 20
const SIZE_BYTES = 64 * MIB
const BUSY_WRITES = 300
const OK = /wrote 4096\/4096 bytes/

const skip = whyNoHosts() ?? false

describe('volumes with the real tgtd', { skip }, () => {
  let dir: string
  let host: SimulatedHost
  let files: tgt.TgtdFiles
  let parts: VolumesParts
  let backend: VolumeBackend
  let lastId = 0
  let skewMs = 0
  /** Everything that is wanted now. */
  const wanted = new Map<VolumeId, WantedVolume>()

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-volumes-'))
    host = await startHost('sc', dir)
    const { runDir } = host.paths
    files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    parts = await startAgent()
  })
  after(async () => {
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  /** As after a start: it knows nothing but what it finds. */
  async function startAgent(): Promise<VolumesParts> {
    backend = await fileBackend(exec, host.paths.stateDir)
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + skewMs }
    return {
      ...{ randomHex, log: silentLog, backend, portal: PORTAL, restores: NO_RESTORES },
      ledgers: join(host.paths.stateDir, 'ledgers'),
      targets: tgtTargets({ exec: host.exec, clock, files }),
    }
  }

  /** A new volume, granted to attachments of these generations. */
  async function have(fields: Partial<WantedVolume> = {}): Promise<WantedVolume> {
    lastId += 1
    const id = idOf(lastId)
    const first = {
      id,
      sizeBytes: SIZE_BYTES,
      targetIqn: `iqn.2026-01.org.mallee:${id}`,
      ...{ multiAttach: false, deleted: false, source: null },
      grants: [ownOf(id, 1)],
      ...fields,
    }
    const parsed = parseWantedVolume(first)
    assert.ok(parsed.ok)
    return await want(parsed.value)
  }

  async function want(volume: WantedVolume, change: Partial<WantedVolume> = {}) {
    const changed = { ...volume, ...change }
    wanted.set(volume.id, changed)
    const { failed } = await pass()
    assert.equal(failed, 0)
    return changed
  }

  async function pass() {
    return await reconcileVolumes(parts, [...wanted.values()])
  }

  async function statusOf({ id }: WantedVolume): Promise<VolumeStatus> {
    const { statuses, steps } = await pass()
    assert.equal(steps, 0)
    const status = statuses.find((one) => one.id === id)
    assert.ok(status)
    return status
  }

  async function kill(): Promise<void> {
    const pid = await tgt.tgtdPid(host.exec, files)
    assert.ok(pid !== null)
    await host.exec(['kill', '-KILL', String(pid)])
  }

  test('a grant lets in who has its secret and its name, and nobody else', async () => {
    const volume = await have()
    const right = loginOf(volume)
    assert.match(await qemuIo(host, right, 'write -P 7 0 4k'), OK)
    const { grant } = right
    const wrongs: readonly [string, Login][] = [
      ['a wrong secret', { ...right, grant: { ...grant, chapSecret: 'not-the-secret-of-it' } }],
      ['an unknown user', { ...right, grant: { ...grant, chapUser: 'nobody' } }],
      ['no CHAP', { ...right, withoutChap: true }],
      ['another name', { ...right, grant: { ...grant, initiatorIqn: `${grant.initiatorIqn}x` } }],
    ]
    for (const [what, login] of wrongs) {
      assert.match(await qemuIo(host, login, 'write -P 8 0 4k'), /Failed to log in/, what)
    }
    assert.match(await qemuIo(host, right, 'read -P 7 0 4k'), /read 4096\/4096/)
    assert.equal((await readFile(files.log, 'utf8')).includes(grant.chapSecret), false)
  })

  test('a restarted agent finds everything and changes nothing', async () => {
    const volume = await have()
    const client = new Client(host, loginOf(volume))
    assert.match(await client.says('write 0 4k'), OK)
    const before = await tgt.listTargets(files)
    parts = await startAgent()
    assert.deepEqual(await statusOf(volume), {
      id: volume.id,
      state: 'ready',
      reason: '',
      grants: [{ attachment: 'a1', generation: 1, ownTarget: true }],
      sizeBytes: SIZE_BYTES,
      usedBytes: 4096,
      ...{ missingBytes: 0, refusedBytes: 0 },
    })
    assert.deepEqual(await tgt.listTargets(files), before)
    assert.match(await client.says('write 0 4k'), OK)
    await client.end()
  })

  test('a newer grant throws the older writer out, for ever', async () => {
    const volume = await have()
    const old = loginOf(volume)
    const client = new Client(host, old)
    assert.match(await client.says('write -P 1 0 4k'), OK)

    // Busy when it is thrown out: not one of these may land after that.
    client.begin('aio_write -q -P 1 0 4k\n'.repeat(BUSY_WRITES))
    const newer = await want(volume, { grants: [ownOf(volume.id, 2)] })
    const [second] = (await statusOf(newer)).grants
    assert.deepEqual(second, { attachment: 'a2', generation: 2, ownTarget: true })
    const late = client.begin('write -P 1 0 4k')
    assert.match(await qemuIo(host, loginOf(newer), 'write -P 2 0 4k'), OK)
    assert.doesNotMatch(await qemuIo(host, old, 'read 0 4k'), /read 4096/)
    // What it waits for is an error: it need not wait for ever.
    await until('its last write fails', () => /write failed/.test(late.soFar()))
    assert.doesNotMatch(late.soFar(), OK)
    assert.match(await qemuIo(host, loginOf(newer), 'read -P 2 0 4k'), /read 4096\/4096/)
    await client.end()
    const names = async () => (await tgt.listTargets(files)).map(({ iqn }) => iqn)
    assert.ok((await names()).includes(old.targetIqn))
    await until('its target is forgotten', async () => {
      skewMs += 3_600_000
      await pass()
      return !(await names()).includes(old.targetIqn)
    })

    // An old wish that arrives late, at an agent that has only its files.
    parts = await startAgent()
    await want(volume)
    const status = await statusOf(volume)
    assert.match(status.reason, /its generation 1 is past/)
    assert.match(await qemuIo(host, loginOf(newer), 'read -P 2 0 4k'), /read 4096\/4096/)

    await want(volume, { grants: [] })
    assert.deepEqual((await statusOf(await want(volume))).grants, [])
    assert.match(await qemuIo(host, old, 'read 0 4k'), /Failed to log in/)
    wanted.delete(volume.id)
  })

  test('a client goes on after tgtd was killed and its exports were made again', async () => {
    const volume = await have()
    const client = new Client(host, loginOf(volume))
    assert.match(await client.says('write -P 3 0 4k'), OK)
    await kill()
    const waiting = client.begin('write -P 4 4k 4k')
    assert.ok((await pass()).steps > 0)
    assert.match(await waiting.answer(), OK)
    assert.match(await client.says('read -P 3 0 4k'), /read 4096\/4096/)
    await client.end()
  })

  test('several attachments write when they may, and one that ends leaves the others', async () => {
    // As older gateways have it: all at the volume's one target.
    const grants = [1, 2].map((generation) => grantOf(idOf(0), generation))
    const volume = await have({ multiAttach: true, grants })
    const client = new Client(host, loginOf(volume, 1))
    assert.match(await client.says('write -P 5 0 4k'), OK)
    assert.match(await qemuIo(host, loginOf(volume, 0), 'read -P 5 0 4k'), /read 4096\/4096/)
    await want(volume, { grants: grants.slice(1) })
    assert.match(await client.says('write -P 6 0 4k'), OK)
    assert.match(await qemuIo(host, loginOf(volume, 0), 'read 0 4k'), /Failed to log in/)
    await client.end()
  })

  test('what is discarded takes no room any more', async () => {
    const volume = await have()
    const login = loginOf(volume)
    await qemuIo(host, login, 'write -P 9 0 8M')
    assert.equal((await statusOf(volume)).usedBytes, 8 * MIB)
    assert.match(await qemuIo(host, login, 'discard 0 8M'), /discard 8388608\/8388608/)
    assert.equal((await statusOf(volume)).usedBytes, 0)
  })

  test('a volume that grew is seen so by a new login and keeps what it had', async () => {
    const volume = await have()
    const login = loginOf(volume)
    const client = new Client(host, login)
    assert.match(await client.says('write -P 11 0 4k'), OK)
    await want(volume, { sizeBytes: SIZE_BYTES + MIB })
    assert.match(await client.says('write -P 12 4k 4k'), OK)
    await client.end()
    assert.match(await qemuIo(host, login, `write ${SIZE_BYTES} 4k`), OK)
    assert.match(await qemuIo(host, login, 'read -P 11 0 4k'), /read 4096\/4096/)
    await want(volume)
    assert.match((await statusOf(volume)).reason, /does not shrink/)
  })

  test('silence deletes nothing, a wish does, and nothing comes back', async () => {
    const volume = await have()
    wanted.delete(volume.id)
    assert.equal((await pass()).steps, 0)
    assert.match(await qemuIo(host, loginOf(volume), 'write 0 4k'), OK)

    const contradiction = await want(volume, { deleted: true })
    assert.match((await statusOf(contradiction)).reason, /is to be deleted and is granted to a1/)
    assert.notEqual(await backend.look(volume.id), null)

    const gone = await want(volume, { deleted: true, grants: [] })
    assert.equal((await statusOf(gone)).state, 'deleted')
    assert.equal(await backend.look(volume.id), null)
    const back = await want(volume)
    assert.equal((await statusOf(back)).state, 'deleted')
    wanted.delete(volume.id)
  })

  test('a volume in trouble keeps no other from its grant', async () => {
    const lost = await have({ grants: [] })
    await rm(backend.path(lost.id))
    const other = await have()
    assert.match(await qemuIo(host, loginOf(other), 'write 0 4k'), OK)
    const status = await statusOf(lost)
    assert.equal(status.state, 'error')
    assert.match(status.reason, /are missing/)
    await truncate(join(parts.ledgers, `${lost.id}.json`), 3)
    assert.match((await statusOf(lost)).reason, /is not understood/)
    wanted.delete(lost.id)
  })

  test('tgtd listens at its portal alone, and its log does not grow for ever', async () => {
    await have()
    const { stdout } = await host.exec(['ss', '-Hltn'])
    const listening = stdout.split('\n').flatMap((line) => line.split(/ +/)[3] ?? [])
    assert.deepEqual(listening, [PORTAL])
    await truncate(files.log, 2 * MIB)
    await have()
    assert.ok((await stat(files.log)).size < MIB)
  })

  test('accounts that nobody has are forgotten', async () => {
    await have()
    await tgt.addAccount(files, { user: 'leftover', secret: 'a-secret-of-nobody' })
    await pass()
    assert.equal((await tgt.listAccounts(files)).includes('leftover'), false)
  })

  test('stopTgtd ends it with its sessions', async () => {
    const volume = await have()
    const client = new Client(host, loginOf(volume))
    assert.match(await client.says('write 0 4k'), OK)
    await tgt.stopTgtd({ exec: host.exec, clock: systemClock }, files)
    assert.equal(await tgt.tgtdRuns(files), false)
    await client.end()
  })

  function loginOf({ targetIqn, grants }: WantedVolume, at = 0): Login {
    const grant = grants[at]
    assert.ok(grant)
    return { portal: PORTAL, targetIqn: grant.targetIqn ?? targetIqn, grant }
  }
})
