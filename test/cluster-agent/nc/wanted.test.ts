// What the desired state means for a host's instances.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { wantedMachines } from '../../../cluster-agent/nc/wanted.ts'
import { InstanceSchema, InterfaceSchema, Power } from '../../../proto/gen/mallee/v1/desired_pb.js'
import { resource } from '../../../proto/resources.ts'
import { tenancy } from './tenancy.ts'

test('wantedMachines gives the interfaces of an instance by device index, and names what is missing', () => {
  const instance = create(InstanceSchema, {
    id: 'i-00000000000000001',
    host: 'node-1',
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
  assert.deepEqual(machine?.missing, ['image/', 'interface/eni-9'])
  assert.deepEqual(wantedMachines(desired, 'node-2'), [])
})
