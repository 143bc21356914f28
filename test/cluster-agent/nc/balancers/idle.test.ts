// How long a node keeps connections on which nobody says anything: as each listener says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { nodeConfig } from '../../../../cluster-agent/nc/balancers/haproxy-config.ts'
import { nodePlaces } from '../../../../cluster-agent/nc/balancers/names.ts'
import { wantedNodes } from '../../../../cluster-agent/nc/balancers/wanted.ts'
import { DEFAULT_PATHS } from '../../../../cluster-agent/paths.ts'
import {
  BalancerProtocol,
  BalancerSchema,
  TargetGroupSchema,
} from '../../../../proto/gen/mallee/v1/balancers_pb.js'
import { type Desired, resource } from '../../../../proto/resources.ts'

/** Lines with a timeout of clients or targets, each with the section that it is in. */
function timeouts(...idle: readonly number[]): string[] {
  const listeners = idle.map((idleTimeoutS, n) => ({
    ...{ id: `l${n}`, protocol: BalancerProtocol.TCP, port: 80 + n, targetGroupId: 'tg' },
    idleTimeoutS,
  }))
  const balancer = create(BalancerSchema, { id: 'lb', interfaceId: 'eni-1', host: 'a1', listeners })
  const group = create(TargetGroupSchema, { id: 'tg', protocol: BalancerProtocol.TCP })
  const desired: Desired = new Map([
    ['balancer/eni-1', resource('balancer/eni-1', { case: 'balancer', value: balancer })],
    ['target-group/tg', resource('target-group/tg', { case: 'targetGroup', value: group })],
  ])
  const [node] = wantedNodes(desired, 'a1')
  assert.ok(node)
  let section = ''
  return nodeConfig(node, nodePlaces(DEFAULT_PATHS, 'eni-1'))
    .text(new Map())
    .split('\n')
    .flatMap((line) => {
      if (!line.startsWith(' ')) section = line
      return /timeout (client|server)/.test(line) ? [`${section}: ${line.trim()}`] : []
    })
}

const USUAL = ['defaults: timeout client 350s', 'defaults: timeout server 350s']

test('connections end after 350 seconds when nobody says otherwise', () => {
  assert.deepEqual(timeouts(0, 0), USUAL)
})

test('each listener ends its own, and targets wait for the most patient one', () => {
  assert.deepEqual(timeouts(60, 0, 6_000), [
    ...USUAL,
    'frontend tcp.80: timeout client 60s',
    'frontend tcp.82: timeout client 6000s',
    'backend tg: timeout server 6000s',
    'backend open.tg: timeout server 6000s',
  ])
})
