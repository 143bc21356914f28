// Kernel and ramdisk images: what is registered, shown, started from, and what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ec2Inputs } from '../../../gateway/aws/handlers.ts'
import { imageAt, instanceAt } from '../../../gateway/control/desired-rack.ts'
import { purgeTerminated } from '../../../gateway/ec2/purge.ts'
import { SECRETS } from '../control/records.ts'
import {
  type Cloud,
  DIGEST,
  OTHER_ACCOUNT,
  openCloud,
  REGION,
  refusal,
  registerImage,
  report,
  run,
  START_MS,
} from './support.ts'

const THEM = { account: OTHER_ACCOUNT }
const FILES = { kernel: 'cd'.repeat(32), ramdisk: 'ef'.repeat(32) } as const

async function openKernels(t: Parameters<typeof openCloud>[0]): Promise<{
  readonly cloud: Cloud
  readonly KernelId: string
  readonly RamdiskId: string
}> {
  const cloud = await openCloud(t, { racks: ['a'] })
  await cloud.state.update(async (tx) => {
    for (const format of ['kernel', 'ramdisk'] as const) {
      const sha256 = FILES[format]
      const sizes = { sizeBytes: 700, virtualSizeBytes: 700 }
      await tx.put('blob', [sha256], { sha256, names: [format], format, ...sizes, createdAtMs: 0 })
    }
  })
  const KernelId = await registered(cloud, { ImageLocation: 'kernel' })
  const RamdiskId = await registered(cloud, { ImageLocation: `sha256:${FILES.ramdisk}` })
  return { cloud, KernelId, RamdiskId }
}

let names = 0

async function registered(
  cloud: Cloud,
  input: Partial<Ec2Inputs['RegisterImage']>,
): Promise<string> {
  names += 1
  const all = { Name: `image ${names}`, ImageLocation: `sha256:${DIGEST}`, ...input }
  const { ImageId = '' } = await cloud.call('RegisterImage', all)
  return ImageId
}

test('an image has a kernel and a ramdisk, which its instances start from', async (t) => {
  const { cloud, KernelId, RamdiskId } = await openKernels(t)
  assert.match(KernelId, /^aki-[0-9a-f]{17}$/)
  assert.match(RamdiskId, /^ari-[0-9a-f]{17}$/)
  const ImageId = await registered(cloud, { KernelId, RamdiskId })
  assert.match(ImageId, /^ami-/)
  const plain = await registerImage(cloud)
  const find = async (Name: string, value: string): Promise<string[]> => {
    const input = { Filters: [{ Name, Values: [value] }] }
    const { Images = [] } = await cloud.call('DescribeImages', input)
    return Images.map((image) => image.ImageId ?? '').sort()
  }
  assert.deepEqual(await find('image-type', 'kernel'), [KernelId])
  assert.deepEqual(await find('image-type', 'ramdisk'), [RamdiskId])
  assert.deepEqual(await find('image-type', 'machine'), [ImageId, plain].sort())
  assert.deepEqual(await find('kernel-id', KernelId), [ImageId])
  assert.deepEqual(await find('ramdisk-id', RamdiskId), [ImageId])
  for (const [Attribute, of, answer] of [
    ['kernel', ImageId, { KernelId: { Value: KernelId } }],
    ['ramdisk', ImageId, { RamdiskId: { Value: RamdiskId } }],
    ['kernel', plain, { KernelId: {} }],
  ] as const) {
    const { ImageId: _, ...shown } = await cloud.call('DescribeImageAttribute', {
      ...{ ImageId: of, Attribute },
    })
    assert.deepEqual(shown, answer)
  }

  const [InstanceId = ''] = await run(cloud, { ImageId })
  const [own = ''] = await run(cloud, { ImageId: plain, KernelId })
  await run(cloud, { ImageId: plain })
  const found = async (Name: string, value: string): Promise<string[]> => {
    const input = { Filters: [{ Name, Values: [value] }] }
    const { Reservations = [] } = await cloud.call('DescribeInstances', input)
    return Reservations.flatMap(({ Instances = [] }) =>
      Instances.map((one) => one.InstanceId ?? ''),
    )
  }
  assert.deepEqual((await found('kernel-id', KernelId)).sort(), [InstanceId, own].sort())
  assert.deepEqual(await found('ramdisk-id', RamdiskId), [InstanceId])
  const ask = { InstanceId, Attribute: 'kernel' } as const
  const { KernelId: shown } = await cloud.call('DescribeInstanceAttribute', ask)
  assert.deepEqual(shown, { Value: KernelId })
  const disk = { InstanceId, Attribute: 'ramdisk' } as const
  const { RamdiskId: shownDisk } = await cloud.call('DescribeInstanceAttribute', disk)
  assert.deepEqual(shownDisk, { Value: RamdiskId })

  // What its host is told.
  const view = await cloud.state.fresh()
  const body = imageAt(view, KernelId)?.body
  assert.ok(body?.case === 'image')
  assert.deepEqual([body.value.format, body.value.sha256], ['kernel', FILES.kernel])
  const told = instanceAt(view, 'a', own, SECRETS)?.body
  assert.ok(told?.case === 'instance')
  const { kernelImageId, ramdiskImageId, kernelCommandLine } = told.value
  assert.deepEqual([kernelImageId, ramdiskImageId], [KernelId, ''])
  assert.match(kernelCommandLine, /root=\/dev\/vda /)
})

test('ModifyInstanceAttribute changes kernel and ramdisk of what is stopped', async (t) => {
  const { cloud, KernelId, RamdiskId } = await openKernels(t)
  const ImageId = await registerImage(cloud)
  const [InstanceId = ''] = await run(cloud, { ImageId })
  await report(cloud.state, InstanceId, 'running')
  const modify = (input: object) =>
    refusal(cloud.call('ModifyInstanceAttribute', { InstanceId, ...input }))
  const kernel = { Kernel: { Value: KernelId } }
  assert.equal(await modify(kernel), 'IncorrectInstanceState')
  await cloud.call('StopInstances', { InstanceIds: [InstanceId] })
  await report(cloud.state, InstanceId, 'stopped')
  assert.equal(
    await modify({ Ramdisk: { Value: RamdiskId } }),
    'InvalidParameterCombination',
    'a ramdisk alone starts nothing',
  )
  assert.equal(await modify(kernel), 'accepted')
  assert.equal(await modify({ Attribute: 'ramdisk', Value: RamdiskId }), 'accepted')
  const has = () => {
    const record = cloud.state.view().get('instance', InstanceId)
    return [record?.kernel, record?.ramdisk]
  }
  assert.deepEqual(has(), [KernelId, RamdiskId])
  const reset = (Attribute: 'kernel' | 'ramdisk') =>
    refusal(cloud.call('ResetInstanceAttribute', { InstanceId, Attribute }))
  assert.equal(await reset('kernel'), 'InvalidParameterCombination')
  assert.equal(await reset('ramdisk'), 'accepted')
  assert.equal(await reset('kernel'), 'accepted')
  assert.deepEqual(has(), [undefined, undefined])
})

test('a kernel that is deregistered stays for the instances that have it', async (t) => {
  const { cloud, KernelId } = await openKernels(t)
  const ImageId = await registered(cloud, { KernelId })
  const copy = await cloud.call('CopyImage', {
    ...{ Name: 'copy', SourceImageId: ImageId, SourceRegion: REGION },
  })
  const input = { ImageId: copy.ImageId ?? '', Attribute: 'kernel' } as const
  const { KernelId: copied } = await cloud.call('DescribeImageAttribute', input)
  assert.deepEqual(copied, { Value: KernelId })
  const again = { Name: 'again', SourceImageId: KernelId, SourceRegion: REGION }
  assert.match((await cloud.call('CopyImage', again)).ImageId ?? '', /^aki-/)

  const [id = ''] = await run(cloud, { ImageId })
  await cloud.call('DeregisterImage', { ImageId: KernelId })
  assert.equal(await refusal(run(cloud, { ImageId })), 'InvalidAMIID.Unavailable')
  await purgeTerminated(cloud.state, START_MS)
  assert.ok((await cloud.state.fresh()).get('image', KernelId))
  await cloud.state.update(async (tx) => {
    const one = await tx.get('instance', id)
    if (one !== null) await tx.put('instance', [id], { ...one, state: 'terminated' })
  })
  await purgeTerminated(cloud.state, START_MS)
  assert.equal((await cloud.state.fresh()).get('image', KernelId), null)
})

test('kernels and ramdisks are of their kinds, and for those who may launch them', async (t) => {
  const { cloud, KernelId, RamdiskId } = await openKernels(t)
  const ImageId = await registerImage(cloud)
  const nobody = `aki-${'0'.repeat(17)}`
  for (const [wish, code] of [
    [{ KernelId: RamdiskId }, 'InvalidAMIID.Malformed'],
    [{ KernelId: ImageId }, 'InvalidAMIID.Malformed'],
    [{ KernelId: 'eki-12345678' }, 'InvalidAMIID.Malformed'],
    [{ KernelId: 'aki-1' }, 'InvalidAMIID.Malformed'],
    [{ KernelId: nobody }, 'InvalidAMIID.NotFound'],
    [{ KernelId, RamdiskId: KernelId }, 'InvalidAMIID.Malformed'],
    [{ RamdiskId }, 'InvalidParameterCombination'],
  ] as const) {
    const why = JSON.stringify(wish)
    assert.equal(await refusal(run(cloud, { ImageId, ...wish })), code, why)
    assert.equal(await refusal(registered(cloud, wish)), code, why)
  }
  for (const id of [KernelId, RamdiskId]) {
    assert.equal(await refusal(run(cloud, { ImageId: id })), 'InvalidAMIID.Malformed')
  }
  const nested = registered(cloud, { ImageLocation: 'ramdisk', KernelId })
  assert.equal(await refusal(nested), 'InvalidParameterCombination')

  const share = async (id: string): Promise<void> => {
    const all = { LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }
    await cloud.call('ModifyImageAttribute', { ImageId: id, ...all })
  }
  const shared = await registered(cloud, { KernelId })
  await share(shared)
  const one = { InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, ImageId: shared } as const
  const start = () => refusal(cloud.call('RunInstances', one, THEM))
  assert.equal(await start(), 'InvalidAMIID.NotFound')
  await share(KernelId)
  assert.equal(await start(), 'accepted')
})
