// A volume's way through a rack, with the stock aws CLI: from one instance to one of another host.

import assert from 'node:assert/strict'
import type { TourInstance } from '../../sandbox/tour.ts'
import type { World } from '../../sandbox/world.ts'
import { E2eVolume } from './e2e-volume.ts'

/** Of 1 MiB that nobody guesses, on $disk. */
const WRITE = [
  'mke2fs $disk >/dev/null 2>&1 && mount -t ext4 $disk /mnt',
  'dd if=/dev/urandom of=/mnt/file bs=64k count=16 2>/dev/null',
  'md5sum </mnt/file && umount /mnt',
].join(' && ')
const READ = 'mount -t ext4 $disk /mnt && md5sum </mnt/file; umount /mnt'

/** Written in one instance, read in another one, on another host; and nothing is left of it. */
export async function moveVolume(world: World, from: TourInstance, to: TourInstance) {
  assert.notEqual(world.hostOf(from.id), world.hostOf(to.id))
  const volume = await E2eVolume.create(world, from.rack)
  await volume.attach(from.id)
  const sum = await volume.in(from.id, WRITE)
  assert.match(sum, /^[0-9a-f]{32} /)
  await volume.detach()
  await volume.attach(to.id)
  assert.equal(await volume.in(to.id, READ), sum)
  await volume.detach()
  await volume.delete()
}
