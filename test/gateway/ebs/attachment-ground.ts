// Two instances and a volume in one rack, and hosts that are models.

import assert from 'node:assert/strict'
import type { Ending } from '../../support/cloud.ts'
import { ACCOUNT, type Cloud, openCloud, REGION, registerImage, run } from '../ec2/support.ts'
import { modelRacks } from './model-racks.ts'

export const Device = '/dev/sdf'
const ZONE = `${REGION}-a`

type OpenOne = (t: Ending) => Promise<Cloud>

/** Rack a has two instances and a volume that nobody has; its hosts are models. */
export async function openGround(t: Ending, openOne: OpenOne = openCloud) {
  const cloud = await openOne(t)
  const { call } = cloud
  const racks = modelRacks(() => cloud.state)
  const view = await cloud.state.fresh()
  const subnet = view.subnetsOf('account', ACCOUNT).find(({ rack }) => rack === 'a')
  assert.ok(subnet)
  const ids = await run(cloud, {
    ...{ ImageId: await registerImage(cloud), SubnetId: subnet.id, count: 2 },
  })
  const [first = '', second = ''] = ids
  const create = async (more: object = {}): Promise<string> => {
    const ask = { AvailabilityZone: ZONE, Size: 1, ...more }
    const { VolumeId } = await call('CreateVolume', ask)
    assert.ok(VolumeId)
    return VolumeId
  }
  const VolumeId = await create()
  await racks.settle()
  const volume = async (id = VolumeId) => (await cloud.state.fresh()).get('volume', id)
  const states = async (id = VolumeId) =>
    (await volume(id))?.attachments.map(({ state, granted }) => `${state}${granted ? '+' : ''}`)
  /** One host of rack a, once. */
  const step = async (host: string) => racks.hear('a', await racks.work('a', host))
  const hostOf = (id: string) => cloud.state.view().get('instance', id)?.host ?? ''
  const attach = (InstanceId = first) => call('AttachVolume', { VolumeId, InstanceId, Device })
  return {
    cloud,
    call,
    racks,
    first,
    second,
    VolumeId,
    create,
    volume,
    states,
    step,
    hostOf,
    attach,
  }
}
