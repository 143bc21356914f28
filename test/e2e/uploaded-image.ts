// An image as a user brings it, with the stock aws CLI: uploaded as an object, then registered.

import { copyFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { World } from '../../sandbox/world.ts'
import { at } from './tenant.ts'

const MIB = 1 << 20
export interface Upload {
  /** Of the bucket, which is made, and of the image. */
  readonly name: string
  /** What comes behind the world's own image: other bytes, so nobody has them yet. */
  readonly paddingMib: number
  /** Where the bucket is when not in the cloud's default store. */
  readonly zone?: string
}

/** The image's id. */
export async function uploadImage(
  world: World,
  { name, paddingMib, zone }: Upload,
): Promise<string> {
  const file = join(tmpdir(), `${world.plan.world}-${name}.raw`)
  const where = ['--create-bucket-configuration', `LocationConstraint=${zone}`]
  const create = ['s3api', 'create-bucket', '--bucket', name, ...(zone === undefined ? [] : where)]
  await world.aws(create)
  try {
    await copyFile(world.imageFile, file)
    await truncate(file, (await stat(file)).size + paddingMib * MIB)
    await world.aws(['s3', 'cp', file, `s3://${name}/guest.raw`, '--only-show-errors'])
  } finally {
    await rm(file, { force: true })
  }
  const register = ['ec2', 'register-image', '--name', name]
  return at(await world.aws([...register, '--image-location', `${name}/guest.raw`]), 'ImageId')
}
