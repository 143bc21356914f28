// A disk that volumes have filled, with the real tgtd and QEMU's initiator.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { VolumeBackend } from '../../../cluster-agent/sc/volumes/backend.ts'
import { fileBackend } from '../../../cluster-agent/sc/volumes/files.ts'
import { reconcileVolumes } from '../../../cluster-agent/sc/volumes/reconcile.ts'
import { tgtTargets } from '../../../cluster-agent/sc/volumes/tgt.ts'
import {
  type Grant,
  parseWantedVolume,
  type WantedVolume,
} from '../../../cluster-agent/sc/volumes/wanted.ts'
import { randomHex, systemClock } from '../../../common/clock.ts'
import { exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { startHost, whyNoHosts } from '../../support/netns.ts'
import { NO_RESTORES } from '../../support/no-restores.ts'
import { Client, type Login, qemuIo } from './initiator.ts'

const PORTAL = '[::1]:3260'
const SIZE_BYTES = 64 << 20
const WROTE = /wrote 4194304\/4194304/

const skip = whyNoHosts() ?? false

test('a full disk is an I/O error of who wants more of it, and of nobody else', {
  skip,
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-full-'))
  const host = await startHost('sc', dir)
  let client: Client | null = null
  t.after(async () => {
    await client?.end()
    await host.stop()
    await rm(dir, { recursive: true, force: true })
  })
  await host.exec(['mkdir', '/run/full'])
  await host.exec(['mount', '-t', 'tmpfs', '-o', 'size=24M', 'tmpfs', '/run/full'])
  // By this path we see it; tgtd has another.
  const folder = `/proc/${host.pid}/root/run/full`
  const full = await fileBackend(exec, folder)
  const path: VolumeBackend['path'] = (id) => full.path(id).replace(folder, '/run/full')
  const { stateDir, runDir } = host.paths
  const files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
  const [greedy, other] = [wantedOf(1), wantedOf(2)]
  const parts = {
    ...{ randomHex, log: silentLog, portal: PORTAL },
    ...{ backend: { ...full, path }, restores: NO_RESTORES },
    ledgers: join(stateDir, 'ledgers'),
    targets: tgtTargets({ exec: host.exec, clock: systemClock, files }),
  }
  const { failed } = await reconcileVolumes(parts, [greedy, other])
  assert.equal(failed, 0)

  client = new Client(host, loginOf(other))
  assert.match(await client.says('write -P 2 0 4M'), WROTE)
  assert.match(await qemuIo(host, loginOf(greedy), 'write -P 1 0 64M'), /write failed/)
  assert.match(await client.says('write -P 3 0 4M'), WROTE)
  assert.match(await client.says('write 8M 4M'), /write failed/)
  await assert.rejects(full.create(wantedOf(3).id, SIZE_BYTES), { code: 'StoreFull' })
  const larger = { ...other, sizeBytes: 2 * SIZE_BYTES }
  const [, refused] = (await reconcileVolumes(parts, [greedy, larger])).statuses
  assert.deepEqual([refused?.sizeBytes, refused?.refusedBytes], [SIZE_BYTES, 2 * SIZE_BYTES])
  assert.match(refused?.reason ?? '', /no room/)
  assert.equal((await reconcileVolumes(parts, [greedy, other])).statuses[1]?.refusedBytes, 0)
  assert.match(await qemuIo(host, loginOf(greedy), 'discard 0 64M'), /discard/)
  assert.match(await client.says('write 8M 4M'), WROTE)
})

function wantedOf(n: number): WantedVolume {
  const id = `vol-${String(n).padStart(17, '0')}`
  const grant: Grant = {
    ...{ attachment: `a${n}`, generation: 1, chapUser: `a${n}` },
    initiatorIqn: `iqn.2026-01.org.mallee:a${n}`,
    chapSecret: `secret-of-number-${n}`,
  }
  const parsed = parseWantedVolume({
    ...{ id, sizeBytes: SIZE_BYTES, targetIqn: `iqn.2026-01.org.mallee:${id}` },
    ...{ multiAttach: false, grants: [grant], deleted: false, source: null },
  })
  assert.ok(parsed.ok)
  return parsed.value
}

function loginOf({ targetIqn, grants }: WantedVolume): Login {
  const [grant] = grants
  assert.ok(grant)
  return { portal: PORTAL, targetIqn, grant }
}
