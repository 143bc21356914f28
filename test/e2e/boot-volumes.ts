// An instance that boots from a volume of a snapshot: it is stopped for an image, moves to another
// host of its rack, and its image to the other rack; with the stock aws CLI.

import assert from 'node:assert/strict'
import { describeInstances, launchEverywhere, type TourInstance } from '../../sandbox/tour.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'
import { WAIT } from './e2e-volume.ts'
import { qemuPid, timesUp } from './helpers.ts'
import { at } from './tenant.ts'

const ROOT_DEVICE = '/dev/sda1'
/** On the disk that the guest booted from; nothing but its orderly end brings it there. */
const KEEP = 'dd if=/dev/urandom of=/kept bs=64k count=4 2>/dev/null; md5sum </kept'
const KEPT = 'md5sum </kept'

export async function bootFromVolume(world: World, snapshot: string): Promise<TourInstance> {
  return launchIn(world, 'a', await registerRoot(world, snapshot))
}

/**
 * It goes to another host with its volume, and an image of it to the other rack; both end. `onHost`
 * is done with it on each of its two hosts.
 */
export async function moveBooted(
  world: World,
  first: TourInstance,
  onHost: (host: string) => Promise<void>,
): Promise<void> {
  await onHost(world.hostOf(first.id))
  const sum = await typed(world, first.id, KEEP)
  const copy = await imageWithReboot(world, first.id)
  const [, second] = await Promise.all([
    startElsewhere(world, first.id).then(() => isKept(world, first.id, sum)),
    imageLaunched(world, copy, sum),
  ])
  await onHost(world.hostOf(first.id))
  const ids = [first.id, second.id]
  await world.aws(['ec2', 'terminate-instances', '--instance-ids', ...ids])
  const areGone = async () =>
    (await describeInstances(world.aws)).every(({ id }) => !ids.includes(id))
  await until('the instances are gone', areGone, WAIT)
  await until('their volumes went with them', async () => (await rootVolumes(world)) === 0, WAIT)
}

async function registerRoot(world: World, snapshot: string): Promise<string> {
  const root = `DeviceName=${ROOT_DEVICE},Ebs={SnapshotId=${snapshot}}`
  const what = [
    '--name',
    'root',
    '--root-device-name',
    ROOT_DEVICE,
    '--block-device-mappings',
    root,
  ]
  return at(await world.aws(['ec2', 'register-image', ...what]), 'ImageId')
}

/** Its guest ends for the image, and is started again by itself. */
async function imageWithReboot(world: World, instance: string): Promise<string> {
  const host = world.host(world.hostOf(instance))
  const before = await qemuPid(host, instance)
  const create = ['ec2', 'create-image', '--instance-id', instance, '--name', 'kept']
  const image = at(await world.aws(create), 'ImageId')
  const isNew = async () => {
    const pid = await qemuPid(host, instance).catch(() => before)
    return pid !== before && (await isIn(world, instance, 'running'))
  }
  await until('its guest is started again', isNew, WAIT)
  return image
}

async function imageLaunched(world: World, image: string, sum: string): Promise<TourInstance> {
  await until(`${image} is available`, () => isAvailable(world, image), WAIT)
  const instance = await launchIn(world, 'b', image)
  await isKept(world, instance.id, sum)
  return instance
}

async function isAvailable(world: World, image: string): Promise<boolean> {
  const answer = await world.aws(['ec2', 'describe-images', '--image-ids', image])
  const [one] = (answer as { Images: { State: string }[] }).Images
  return one?.State === 'available'
}

async function launchIn(world: World, rack: string, imageId: string): Promise<TourInstance> {
  const racks = world.plan.racks.filter(({ name }) => name === rack)
  const inOne = { ...world, imageId, plan: { ...world.plan, racks } }
  const signal = new AbortController().signal
  const [instance] = await launchEverywhere(inOne, () => undefined, signal)
  assert.ok(instance)
  return instance
}

/** Stopped, also in the middle of its start, and started while its host takes nothing. */
async function startElsewhere(world: World, instance: string): Promise<void> {
  const host = world.hostOf(instance)
  await world.gateway.mallee(['host', 'cordon', 'a', host])
  await world.aws(['ec2', 'stop-instances', '--force', '--instance-ids', instance])
  await until('it is stopped', () => isIn(world, instance, 'stopped'), WAIT)
  await world.aws(['ec2', 'start-instances', '--instance-ids', instance])
  await until('it runs again', () => isIn(world, instance, 'running'), WAIT)
  await world.gateway.mallee(['host', 'uncordon', 'a', host])
  await until('another host has it alone', () => world.hostOf(instance) !== host, WAIT)
  await until('its guest is up', async () => (await timesUp(world, instance)) > 0, WAIT)
}

async function isIn(world: World, instance: string, state: string): Promise<boolean> {
  return (await describeInstances(world.aws)).some(
    (one) => one.id === instance && one.state === state,
  )
}

async function isKept(world: World, instance: string, sum: string): Promise<void> {
  assert.equal(await typed(world, instance, KEPT), sum)
}

async function rootVolumes(world: World): Promise<number> {
  const filter = `Name=attachment.device,Values=${ROOT_DEVICE}`
  const answer = await world.aws(['ec2', 'describe-volumes', '--filters', filter])
  return (answer as { Volumes: unknown[] }).Volumes.length
}

async function typed(world: World, instance: string, line: string): Promise<string> {
  const shell = await world.shell(instance)
  try {
    const { output } = await shell.run(line)
    assert.match(output, /^[0-9a-f]{32} /)
    return output.trim()
  } finally {
    shell.close()
  }
}
