// The life of instances in two racks, as a user of the aws CLI lives it, from the import of an
// image to the end of the instances.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { InstanceState } from '../../proto/gen/mallee/v1/observed_pb.js'
import { until } from '../../sandbox/until.ts'
import { startCloud } from '../support/cloud.ts'
import { addTwoRacks, type RackHost } from '../support/simulated-rack.ts'
import { IMAGE_NAME, importImage } from './support.ts'

interface CliInstance {
  readonly InstanceId: string
  readonly PrivateIpAddress: string
  readonly Placement: { readonly AvailabilityZone: string }
  readonly State: { readonly Name: string }
  readonly Tags?: readonly { readonly Key: string; readonly Value: string }[]
}

const cloud = await startCloud({ after })
const hosts = await addTwoRacks(cloud)
let image = ''
/** One on the CC host of rack a, one on the node behind it, one in rack b. */
let instances: CliInstance[] = []

test('DescribeAvailabilityZones shows a zone for each rack', async () => {
  const { AvailabilityZones } = (await cloud.aws(['ec2', 'describe-availability-zones'])) as {
    AvailabilityZones: { ZoneName: string; State: string }[]
  }
  const zones = AvailabilityZones.map(({ ZoneName, State }) => `${ZoneName} ${State}`)
  assert.deepEqual(zones, ['mallee-1-a available', 'mallee-1-b available'])
})

test('an imported file becomes an image with RegisterImage', async () => {
  await importImage(cloud)
  const argv = ['ec2', 'register-image', '--name', IMAGE_NAME, '--image-location', IMAGE_NAME]
  const { ImageId } = (await cloud.aws(argv)) as { ImageId: string }
  assert.match(ImageId, /^ami-[0-9a-f]{17}$/)
  image = ImageId
})

test('RunInstances puts instances where --placement and --subnet-id say, until they run', async () => {
  const { Subnets } = (await cloud.aws(['ec2', 'describe-subnets'])) as {
    Subnets: { SubnetId: string; AvailabilityZone: string }[]
  }
  const inB = Subnets.find((one) => one.AvailabilityZone === 'mallee-1-b')?.SubnetId ?? ''
  const wish = ['ec2', 'run-instances', '--image-id', image, '--instance-type', 't3.micro']
  const tags = 'ResourceType=instance,Tags=[{Key=Name,Value=first}]'
  const made = [
    await cloud.aws([
      ...[...wish, '--count', '2', '--placement', 'AvailabilityZone=mallee-1-a'],
      ...['--tag-specifications', tags],
    ]),
    await cloud.aws([...wish, '--subnet-id', inB]),
  ] as { Instances: CliInstance[] }[]
  const ids = made.flatMap((one) => one.Instances.map(({ InstanceId }) => InstanceId))
  await until('three instances run', async () => {
    const answer = (await cloud.aws(['ec2', 'describe-instances', '--instance-ids', ...ids])) as {
      Reservations: { Instances: CliInstance[] }[]
    }
    instances = answer.Reservations.flatMap((one) => one.Instances)
    return instances.every((one) => one.State.Name === 'running')
  })
  const zones = instances.map((one) => one.Placement.AvailabilityZone)
  assert.deepEqual(zones, ['mallee-1-a', 'mallee-1-a', 'mallee-1-b'])
  assert.equal(new Set(instances.map((one) => one.PrivateIpAddress)).size, 3)
  assert.deepEqual(instances[0]?.Tags, [{ Key: 'Name', Value: 'first' }])
  const { cc, node, other } = hosts
  assert.deepEqual([cc, node, other].map(countOf), [1, 1, 1], 'spread over the hosts of rack a')
})

test('GetConsoleOutput reads the console on a CC host and on a node behind one', async () => {
  for (const { InstanceId } of instances) {
    const { Output } = (await cloud.aws([
      ...['ec2', 'get-console-output', '--instance-id', InstanceId],
    ])) as { Output: string }
    const host = Object.values(hosts).find((one) => holds(one, InstanceId))
    assert.match(Output, new RegExp(`^simulated guest ${InstanceId} on ${host?.name} since`))
  }
})

test('DescribeInstanceStatus says that hosts and guests are well', async () => {
  const { InstanceStatuses } = (await cloud.aws(['ec2', 'describe-instance-status'])) as {
    InstanceStatuses: { SystemStatus: { Status: string }; InstanceStatus: { Status: string } }[]
  }
  const seen = InstanceStatuses.map((one) => [one.SystemStatus.Status, one.InstanceStatus.Status])
  assert.deepEqual(seen, [
    ['ok', 'ok'],
    ['ok', 'ok'],
    ['ok', 'ok'],
  ])
})

test('CreateTags puts a tag on an instance that DescribeTags finds', async () => {
  const id = instances[2]?.InstanceId ?? ''
  await cloud.aws(['ec2', 'create-tags', '--resources', id, '--tags', 'Key=who,Value=é & <b>'])
  const { Tags } = (await cloud.aws([
    ...['ec2', 'describe-tags', '--filters', `Name=resource-id,Values=${id}`],
  ])) as { Tags: unknown[] }
  assert.deepEqual(Tags, [
    { Key: 'who', ResourceId: id, ResourceType: 'instance', Value: 'é & <b>' },
  ])
})

test('RebootInstances reaches the hosts', async () => {
  const ids = instances.map((one) => one.InstanceId)
  await cloud.aws(['ec2', 'reboot-instances', '--instance-ids', ...ids])
  const reboots = (): (number | undefined)[] =>
    ids.map((id) => statusOf(Object.values(hosts), id)?.rebootCount)
  await until('all were rebooted once', () => reboots().every((count) => count === 1))
})

test('TerminateInstances ends instances on their hosts and releases their addresses', async () => {
  const ids = instances.map((one) => one.InstanceId)
  const { TerminatingInstances } = (await cloud.aws([
    ...['ec2', 'terminate-instances', '--instance-ids', ...ids],
  ])) as { TerminatingInstances: { CurrentState: { Name: string } }[] }
  const states = TerminatingInstances.map((one) => one.CurrentState.Name)
  assert.deepEqual(states, ['shutting-down', 'shutting-down', 'shutting-down'])
  await until('all are terminated', async () => {
    const { Reservations } = (await cloud.aws([
      ...['ec2', 'describe-instances', '--filters', 'Name=instance-state-name,Values=terminated'],
    ])) as { Reservations: { Instances: CliInstance[] }[] }
    return Reservations.flatMap((one) => one.Instances).length === 3
  })
  await until('no host has one left', () => Object.values(hosts).every((one) => countOf(one) === 0))
  await cloud.stop()
  const left = await cloud.withState(async (state) => state.view().all('interface').length)
  assert.equal(left, 0)
})

function countOf(host: RackHost): number {
  return host.roles.statuses().filter(({ body }) => body.case === 'instance').length
}

function holds(host: RackHost, id: string): boolean {
  return statusOf([host], id)?.state === InstanceState.RUNNING
}

function statusOf(among: readonly RackHost[], id: string) {
  for (const { body } of among.flatMap((host) => host.roles.statuses())) {
    if (body.case === 'instance' && body.value.id === id) return body.value
  }
  return null
}
