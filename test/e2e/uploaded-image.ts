// An image as a user brings it, with the stock aws CLI: uploaded as an object, then registered.

import { copyFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { World } from '../../sandbox/world.ts'
import { at } from './tenant.ts'

/** Longer by this than the world's own image: other bytes, so nobody has them yet. */
const PADDING_BYTES = 1 << 20

/** Its id. The bucket, which is made, and the image have the same name. */
export async function uploadImage(world: World, name: string): Promise<string> {
  const file = join(tmpdir(), `${world.plan.world}-${name}.raw`)
  await world.aws(['s3api', 'create-bucket', '--bucket', name])
  try {
    await copyFile(world.imageFile, file)
    await truncate(file, (await stat(file)).size + PADDING_BYTES)
    await world.aws(['s3', 'cp', file, `s3://${name}/guest.raw`, '--only-show-errors'])
  } finally {
    await rm(file, { force: true })
  }
  const register = ['ec2', 'register-image', '--name', name]
  return at(await world.aws([...register, '--image-location', `${name}/guest.raw`]), 'ImageId')
}
