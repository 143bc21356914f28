// A real guest whose disk does not boot by itself: it starts from a kernel and a ramdisk beside it.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { NcRole } from '../../../cluster-agent/nc/reconcilers.ts'
import { imagesDir } from '../../../cluster-agent/paths.ts'
import { silentLog } from '../../../common/log.ts'
import { checkBootFile } from '../../../gateway/boot-files.ts'
import { Power } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { InstanceState } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { until } from '../../../sandbox/until.ts'
import { fileImages } from '../../support/file-images.ts'
import { type GuestParts, guestParts } from '../../support/guest-kernel.ts'
import { whyNoHosts } from '../../support/netns.ts'
import {
  consoleText,
  type Guests,
  type GuestWish,
  guestShell,
  lazyParts,
  startGuests,
  statusOf,
} from './guests.ts'

const BOOT_MS = 90_000

describe('a guest with a kernel of its own', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-kernel-'))
  let parts: GuestParts
  let guests: Guests
  let role: NcRole

  before(async () => {
    parts = await guestParts(dir)
    const { disk, kernel, ramdisk } = parts
    guests = await startGuests(dir, disk)
    // What nothing uses goes at once.
    const options = { maxBytes: 1 }
    const images = fileImages([disk, kernel, ramdisk], imagesDir(guests.host.paths), options)
    role = guests.newRole(silentLog, lazyParts(images, guests.host.paths))
  })

  after(async () => {
    await role?.letGo()
    await guests?.host.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const desired = (wish: Partial<GuestWish> = {}) => {
    const { kernel, ramdisk } = parts
    return guests.desired([{ n: 1, kernel: { kernel, ramdisk }, ...wish }])
  }
  const kept = () =>
    Object.values(parts).map(({ sha256 }: GuestParts['kernel']) =>
      existsSync(join(imagesDir(guests.host.paths), sha256)),
    )

  test('its kernel is one that the gateway takes', () => {
    for (const kind of ['kernel', 'ramdisk'] as const) {
      checkBootFile(kind, readFileSync(parts[kind].file))
    }
  })

  test('it boots from its disk, which has no boot loader', async () => {
    await role.pass(desired())
    assert.equal(statusOf(role, 1).state, InstanceState.RUNNING)
    const isReady = async () => (await consoleText(guests, 1)).includes('MALLEE-GUEST ready')
    await until('the guest is ready', isReady, { timeoutMs: BOOT_MS })
    assert.match(await guestShell(guests, 1, 'cat /proc/cmdline'), /root=\/dev\/vda ro/)
    assert.match(await guestShell(guests, 1, 'cat /proc/mounts'), /\/dev\/vda \/ ext4/)
  })

  test('its files stay while it is there, running or stopped', async () => {
    // What was asked for in the pass before might be about to be used.
    for (let pass = 0; pass < 3; pass += 1) await role.pass(desired())
    assert.deepEqual(kept(), [true, true, true])
    const stopped = desired({ power: Power.STOPPED, forceStop: true })
    for (let pass = 0; pass < 3; pass += 1) await role.pass(stopped)
    assert.equal(statusOf(role, 1).state, InstanceState.STOPPED)
    assert.deepEqual(kept(), [true, true, true])
    for (let pass = 0; pass < 3; pass += 1) await role.pass(desired({ power: Power.TERMINATED }))
    assert.deepEqual(kept(), [false, false, false])
  })
})
