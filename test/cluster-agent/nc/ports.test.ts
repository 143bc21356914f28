// Which taps and ports come and go, case by case.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Port } from '../../../cluster-agent/host/ovs.ts'
import type { Tap } from '../../../cluster-agent/host/tap.ts'
import { tapName } from '../../../cluster-agent/host/tap.ts'
import { type PortStep, planOldPorts, planPorts } from '../../../cluster-agent/nc/ports.ts'
import type { NicWanted } from '../../../cluster-agent/nc/wanted.ts'

const nic = (tap: string, change: Partial<NicWanted> = {}): NicWanted => ({
  id: `eni-${tap}`,
  tap,
  mac: `02:${tap}`,
  ipv4: '',
  ipv6: '',
  ipv4More: [],
  ipv6More: [],
  groupIds: [],
  sourceDestCheck: true,
  deviceIndex: 0,
  balancer: false,
  tag: 10,
  mtu: 1_420,
  ...change,
})
const tap = (name: string, mtu = 1_420): Tap => ({ name, mtu })
const port = (name: string, change: Partial<Port> = {}): Port => ({
  name,
  tag: 10,
  trunk: false,
  internal: false,
  mac: '',
  ofport: 5,
  externalIds: { mallee: 'tap', 'attached-mac': `02:${name}` },
  ...change,
})

/** `set-taps a,b` */
function text(step: PortStep): string {
  switch (step.kind) {
    case 'set-taps':
      return `${step.kind} ${step.taps.map(({ name, mtu }) => `${name}:${mtu}`).join()}`
    case 'add-ports':
      return `${step.kind} ${step.nics.map((one) => one.tap).join()}`
    case 'delete-ports':
      return `${step.kind} ${step.names.join()}`
    case 'delete-tap':
      return `${step.kind} ${step.name}`
  }
}

const NEW: [string, NicWanted[], Tap[], Port[], string[]][] = [
  ['nothing to do', [nic('a')], [tap('a')], [port('a')], []],
  ['a new instance', [nic('a')], [], [], ['set-taps a:1420', 'add-ports a']],
  ['another MTU', [nic('a', { mtu: 1_400 })], [tap('a')], [port('a')], ['set-taps a:1400']],
  ['another network', [nic('a', { tag: 11 })], [tap('a')], [port('a')], ['add-ports a']],
  ['the switch is new', [nic('a')], [tap('a')], [], ['add-ports a']],
  [
    'the host restarted: the switch remembers a tap that is not there',
    [nic('a'), nic('b')],
    [],
    [port('a', { ofport: -1 }), port('b', { ofport: -1 })],
    ['delete-ports a,b', 'set-taps a:1420,b:1420', 'add-ports a,b'],
  ],
  ['what nobody wants stays for later', [], [tap('x')], [port('x')], []],
]

for (const [what, wanted, taps, ports, steps] of NEW) {
  test(`planPorts: ${what}`, () => {
    assert.deepEqual(planPorts(wanted, { taps, ports, veths: new Set() }).map(text), steps)
  })
}

test('planOldPorts removes the port before its device, and nothing that is wanted', () => {
  const seen = { taps: [tap('a'), tap('x')], ports: [port('a'), port('x'), port('y')] }
  assert.deepEqual(planOldPorts([nic('a')], seen).map(text), ['delete-ports x,y', 'delete-tap x'])
  const busy = planOldPorts([nic('a')], seen, new Set(['x']))
  assert.deepEqual(busy.map(text), ['delete-ports y'])
  assert.deepEqual(planOldPorts([nic('a')], { taps: [tap('a')], ports: [port('a')] }), [])
})

test('tapName fits into a device name and is another for another MAC', () => {
  assert.equal(tapName('02:00:00:ab:cd:ef'), 'mt0000abcdef')
  assert.ok(tapName('02:ff:ff:ff:ff:ff').length <= 15)
  assert.notEqual(tapName('02:00:00:00:00:01'), tapName('02:01:00:00:00:00'))
})
