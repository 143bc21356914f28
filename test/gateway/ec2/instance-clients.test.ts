// Clients over the wire: what Terraform's aws_instance asks from create to destroy, as the SDK
// sends it, and the aws CLI on what stops, starts and changes instances.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceAttributeName } from '@aws-sdk/client-ec2'
import { report } from './support.ts'
import { awsWithImage, listening, sdkClient } from './wire-support.ts'

const SCRIPT = Buffer.from('#!/bin/sh\n').toString('base64')

test('Terraform’s aws_instance: create, refresh, change, destroy', async (t) => {
  const [cloud, endpoint] = await listening(t)
  const ec2 = sdkClient(t, endpoint)
  const { ImageId } = await ec2.registerImage({ Name: 'debian', ImageLocation: 'debian.qcow2' })
  const { Instances } = await ec2.runInstances({
    ...{ ImageId, MinCount: 1, MaxCount: 1, InstanceType: 't3.micro' },
    ClientToken: 'terraform-20261126070000000000000001',
    DisableApiStop: false,
    DisableApiTermination: true,
    EbsOptimized: false,
    Monitoring: { Enabled: false },
    CreditSpecification: { CpuCredits: 'unlimited' },
    InstanceInitiatedShutdownBehavior: 'stop',
    MaintenanceOptions: { AutoRecovery: 'default' },
    CapacityReservationSpecification: { CapacityReservationPreference: 'open' },
    EnclaveOptions: { Enabled: false },
  })
  const id = Instances?.[0]?.InstanceId ?? ''
  await report(cloud.state, id, 'running')

  // The refresh: every value is dereferenced unguarded, so none may be absent.
  const shown = async () => {
    const { Reservations } = await ec2.describeInstances({ InstanceIds: [id] })
    const [instance] = Reservations?.[0]?.Instances ?? []
    assert.ok(instance)
    return instance
  }
  const instance = await shown()
  for (const part of [
    'CapacityReservationSpecification',
    'CpuOptions',
    'EnclaveOptions',
    'MaintenanceOptions',
    'MetadataOptions',
    'Monitoring',
    'Placement',
    'PrivateDnsNameOptions',
  ] as const) {
    assert.ok(instance[part], part)
  }
  const { InstanceTypes } = await ec2.describeInstanceTypes({ InstanceTypes: ['t3.micro'] })
  assert.equal(InstanceTypes?.[0]?.BurstablePerformanceSupported, true)
  const credits = await ec2.describeInstanceCreditSpecifications({ InstanceIds: [id] })
  assert.equal(credits.InstanceCreditSpecifications?.[0]?.CpuCredits, 'unlimited')
  const attribute = async (Attribute: InstanceAttributeName) =>
    await ec2.describeInstanceAttribute({ InstanceId: id, Attribute })
  assert.equal((await attribute('disableApiStop')).DisableApiStop?.Value, false)
  assert.equal((await attribute('disableApiTermination')).DisableApiTermination?.Value, true)
  const { InstanceInitiatedShutdownBehavior: behavior } = await attribute(
    'instanceInitiatedShutdownBehavior',
  )
  assert.equal(behavior?.Value, 'stop')
  assert.notEqual((await attribute('userData')).UserData, undefined)

  // Another type and other user data: stop, modify, start.
  await ec2.stopInstances({ InstanceIds: [id] })
  await report(cloud.state, id, 'stopped')
  await ec2.modifyInstanceAttribute({ InstanceId: id, InstanceType: { Value: 't3.small' } })
  const UserData = { Value: Buffer.from(SCRIPT, 'base64') }
  await ec2.modifyInstanceAttribute({ InstanceId: id, UserData })
  await ec2.startInstances({ InstanceIds: [id] })
  await report(cloud.state, id, 'running')
  assert.equal((await shown()).InstanceType, 't3.small')
  assert.equal((await attribute('userData')).UserData?.Value, SCRIPT)
  await ec2.monitorInstances({ InstanceIds: [id] })
  assert.equal((await shown()).Monitoring?.State, 'enabled')

  // The destroy takes the protection away first.
  await assert.rejects(ec2.terminateInstances({ InstanceIds: [id] }), {
    name: 'OperationNotPermitted',
  })
  for (const change of [
    { DisableApiTermination: { Value: false } },
    { DisableApiStop: { Value: false } },
  ]) {
    await ec2.modifyInstanceAttribute({ InstanceId: id, ...change })
  }
  await ec2.terminateInstances({ InstanceIds: [id] })
  await report(cloud.state, id, 'terminated')
  assert.equal((await shown()).State?.Name, 'terminated')
})

test('the aws CLI stops, changes and starts an instance, and waits for it', async (t) => {
  const { cloud, aws, image } = await awsWithImage(t)
  const id = await aws(
    ...['run-instances', '--image-id', image, '--instance-type', 't3.nano'],
    ...['--query', 'Instances[0].InstanceId'],
  )
  await report(cloud.state, id, 'running')
  assert.match(await aws('stop-instances', '--instance-ids', id), /stopping/)
  await report(cloud.state, id, 'stopped')
  const modify = ['modify-instance-attribute', '--instance-id', id]
  await aws(...modify, '--attribute', 'instanceType', '--value', 't3.micro')
  assert.match(await aws('start-instances', '--instance-ids', id), /pending/)
  await report(cloud.state, id, 'running')
  await aws('wait', 'instance-status-ok', '--instance-ids', id)
  const type = 'Reservations[].Instances[].InstanceType'
  assert.equal(await aws('describe-instances', '--query', type), 't3.micro')
})
