// A rack's desired state: what is in it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkDesired } from '../../../gateway/control/check.ts'
import { rackDesired, resourceAt } from '../../../gateway/control/desired.ts'
import { bodies, bodyAt } from '../../../proto/resources.ts'
import {
  changesOf,
  instance,
  networkInterface,
  SECRETS,
  startView,
  subnet,
  type Write,
} from './records.ts'
import { volume } from './volume-changes.ts'

const AGENTS = [
  { rack: 'a', host: 'a1' },
  { rack: 'b', host: 'b1' },
] as const

test('rackDesired gives a rack its networks, and tunnels with exactly the other racks prefixes', () => {
  const desired = rackDesired(startView(), AGENTS[0], SECRETS)
  assert.deepEqual(
    bodies(desired, 'network').map((one) => one.id),
    ['subnet-1'],
  )
  const tunnel = bodyAt(desired, 'tunnel/b/b1', 'tunnel')
  const own = 'fd12:3456:789a:2::1/128'
  const prefixes = ['fd12:3456:789a:2::/64', own, '10.0.1.0/24', 'fd98:7654:3200:1::/64']
  assert.deepEqual(new Set(tunnel?.allowedIps), new Set(prefixes))
  assert.deepEqual(tunnel?.endpoints, ['192.0.2.1:51820'])
  assert.equal(tunnel?.presharedKey.length, 32)
})

test('rackDesired leaves a terminated instance out and says ec2 in the SMBIOS UUID of others', () => {
  const view = startView()
  const gone = { ...instance('i-0123456789abcdef0', 'a', 'a1'), state: 'terminated' }
  const here = instance('i-0123456789abcdef1', 'a', 'a1')
  view.apply(
    changesOf(
      [
        [`instance/${gone.id}`, gone],
        [`instance/${here.id}`, here],
      ],
      2,
    ),
    2,
  )
  const [only, ...others] = bodies(rackDesired(view, AGENTS[0], SECRETS), 'instance')
  assert.equal(others.length, 0)
  assert.equal(only?.id, here.id)
  assert.equal(only?.smbiosUuid, 'ec201234-5678-9abc-def1-000000000000')
})

test('resourceAt tells of an instance that starts from a volume once its host may have that', () => {
  const view = startView()
  const base = instance('i-0123456789abcdef1', 'a', 'a1')
  const told = (state: string, granted: boolean) => {
    const volumes = ['/dev/sda1', '/dev/sdf'].map((device, i) =>
      volume(`vol-${i}`, {
        instances: [base.id],
        attachments: [
          {
            ...{ id: `att-${i}`, generation: 1, instance: base.id, host: 'a1', device },
            ...{ deleteOnTermination: true, state: 'attaching', granted: i === 1 || granted },
            ...{ attachedAtMs: 0, chapUser: 'u', sealedChapSecret: 's' },
          },
        ],
      }),
    )
    const writes: Write[] = volumes.map((one) => [`volume/${one.id}`, one])
    const record = { ...base, rootDevice: '/dev/sda1', state }
    view.apply(changesOf([[`instance/${base.id}`, record], ...writes], 2), 2)
    const resource = resourceAt(view, AGENTS[0], `instance/${base.id}`, SECRETS)
    return resource?.body.case === 'instance' ? resource.body.value.volumes.length : null
  }
  assert.equal(told('pending', false), null)
  assert.equal(told('pending', true), 2)
  assert.equal(told('running', false), 1, 'what runs is not taken away')
  assert.equal(told('stopped', false), 1)
})

test('resourceAt gives no tunnel while the pair has no pre-shared key', () => {
  const view = startView()
  view.apply(changesOf([['preshared-key/a|b', null]], 2), 2)
  assert.equal(resourceAt(view, AGENTS[0], 'tunnel/b/b1', SECRETS), null)
})

test('checkDesired names two interfaces with one address', () => {
  const view = startView()
  const net = subnet('subnet-1', 'a', 0)
  view.apply(
    changesOf(
      [
        ['interface/eni-1', networkInterface('eni-1', net, 'a1', 4)],
        ['interface/eni-2', { ...networkInterface('eni-2', net, 'a1', 5), ipv4: '10.0.0.4' }],
      ],
      2,
    ),
    2,
  )
  const problems = checkDesired(rackDesired(view, AGENTS[0], SECRETS))
  assert.deepEqual(problems, ['address 10.0.0.4 is held by eni-1 and eni-2'])
})
