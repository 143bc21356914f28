// What the desired state means for a host's instances.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { wantedMachines } from '../../../cluster-agent/nc/wanted.ts'
import {
  ImageSchema,
  InstanceSchema,
  InterfaceSchema,
  Power,
} from '../../../proto/gen/mallee/v1/desired_pb.js'
import {
  type VolumeAttachment,
  VolumeAttachmentSchema,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { resource } from '../../../proto/resources.ts'
import { tenancy } from './tenancy.ts'

test('wantedMachines gives the interfaces of an instance by device index, and names what is missing', () => {
  const instance = create(InstanceSchema, {
    id: 'i-00000000000000001',
    host: 'node-1',
    imageId: 'ami-9',
    interfaceIds: ['eni-2', 'eni-0', 'eni-9', 'eni-1'],
    power: Power.RUNNING,
  })
  const nics = [0, 1, 2].map((deviceIndex) => {
    const mac = `02:00:00:00:00:0${deviceIndex}`
    const fields = { id: `eni-${deviceIndex}`, networkId: 'subnet-1', mac, deviceIndex }
    const value = create(InterfaceSchema, fields)
    return resource(`interface/${value.id}`, { case: 'interface', value })
  })
  const all = [resource(`instance/${instance.id}`, { case: 'instance', value: instance }), ...nics]
  const desired = new Map([...tenancy({}), ...all.map((one) => [one.key, one] as const)])
  const [machine] = wantedMachines(desired, 'node-1')
  assert.deepEqual(
    machine?.nics.map(({ id }) => id),
    ['eni-0', 'eni-1', 'eni-2'],
  )
  assert.deepEqual(machine?.missing, ['image/ami-9', 'interface/eni-9'])
  assert.deepEqual(machine?.missingToStart, ['interface/eni-9'])
  assert.deepEqual(wantedMachines(desired, 'node-2'), [])
})

test('wantedMachines gives the volume that boots first, then the others by their devices', () => {
  const volume = (deviceName: string, more: MessageInitShape<typeof VolumeAttachmentSchema> = {}) =>
    create(VolumeAttachmentSchema, { volumeId: `vol of ${deviceName}`, deviceName, ...more })
  const key = 'a'.repeat(64)
  const volumes = [
    volume('/dev/sdh', { sizeBytes: 5n, generation: 7n, throughputBytesPerS: 3n }),
    volume('/dev/xvda', { boot: true }),
    volume('/dev/sdf', { encryptionKey: key }),
  ]
  const wish = (some: readonly VolumeAttachment[]) => {
    const names = { id: 'i-00000000000000001', host: 'node-1' }
    const disks = [{ name: 'ephemeral0', sizeGib: 2 }]
    const fields = { ...names, volumes: [...some], ephemeralDisks: disks }
    const value = create(InstanceSchema, fields)
    const desired = new Map([['it', resource('it', { case: 'instance', value })]])
    return wantedMachines(desired, 'node-1')[0]
  }
  const machine = wish(volumes)
  assert.deepEqual(machine?.missing, [])
  assert.deepEqual(
    machine?.volumes.map(({ volumeId }) => volumeId),
    ['vol of /dev/xvda', 'vol of /dev/sdf', 'vol of /dev/sdh'],
  )
  const [boot, second, third] = machine?.volumes ?? []
  assert.deepEqual([boot?.isBoot, boot?.encryptionKey], [true, null])
  assert.equal(second?.encryptionKey, key)
  assert.deepEqual([third?.generation, third?.sizeBytes, third?.bytesPerS], [7, 5, 3])
  assert.deepEqual(machine?.ephemeral, [{ name: 'ephemeral0', sizeBytes: 2 * 1024 ** 3 }])
  // Without an image it waits for its root.
  assert.deepEqual(wish(volumes.slice(2))?.missingToStart, ['its root volume'])
})

test('wantedMachines gives the kernel and the ramdisk that an instance starts from', () => {
  const image = (id: string, format: string) => {
    const value = create(ImageSchema, { id, sha256: `of ${id}`, format, chunkListSha256: 'list' })
    return resource(`image/${id}`, { case: 'image', value })
  }
  const images = [image('ami-1', 'raw'), image('aki-1', 'kernel'), image('ari-1', 'ramdisk')]
  const wish = (kernelImageId: string, ramdiskImageId: string) => {
    const instance = create(InstanceSchema, {
      ...{ id: 'i-00000000000000001', host: 'node-1', imageId: 'ami-1' },
      ...{ kernelImageId, ramdiskImageId, kernelCommandLine: 'ro' },
    })
    const one = resource(`instance/${instance.id}`, { case: 'instance', value: instance })
    const desired = new Map([...images, one].map((each) => [each.key, each]))
    const [machine] = wantedMachines(desired, 'node-1')
    return { kernel: machine?.kernel, missing: machine?.missing }
  }
  const file = (id: string) => ({ sha256: `of ${id}`, listSha256: 'list' })
  const kernel = { kernel: file('aki-1'), ramdisk: file('ari-1'), commandLine: 'ro' }
  assert.deepEqual(wish('aki-1', 'ari-1'), { kernel, missing: [] })
  assert.deepEqual(wish('aki-1', ''), { kernel: { ...kernel, ramdisk: null }, missing: [] })
  assert.deepEqual(wish('', ''), { kernel: null, missing: [] })
  for (const [kernelId, ramdiskId, missing] of [
    ['aki-2', 'ari-1', 'image/aki-2'],
    ['aki-1', 'ari-2', 'image/ari-2'],
    // Of another kind.
    ['ari-1', '', 'image/ari-1'],
    ['aki-1', 'ami-1', 'image/ami-1'],
  ] as const) {
    assert.deepEqual(wish(kernelId, ramdiskId), { kernel: null, missing: [missing] })
  }
})
