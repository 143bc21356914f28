// Whom a CC believes: a node speaks for what the desired state puts on it.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { Nodes } from '../../../cluster-agent/cc/nodes.ts'
import { AgentState } from '../../../cluster-agent/state.ts'
import { StatusBoard } from '../../../cluster-agent/status-board.ts'
import { silentLog } from '../../../common/log.ts'
import {
  BalancerSchema,
  BalancerStatusSchema,
  TargetStatusSchema,
} from '../../../proto/gen/mallee/v1/balancers_pb.js'
import {
  ImagesStatusSchema,
  InstanceStatusSchema,
  StatusSchema,
} from '../../../proto/gen/mallee/v1/observed_pb.js'
import {
  SnapshotStatusSchema,
  VolumeSchema,
  VolumeSnapshotSchema,
  VolumeStatusSchema,
} from '../../../proto/gen/mallee/v1/volumes_pb.js'
import { resource } from '../../../proto/resources.ts'

test('a node speaks for what the desired state puts on it, and for nothing else', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-nodes-'))
  const state = new AgentState(join(dir, 'state.db'))
  const board = new StatusBoard()
  const balancer = create(BalancerSchema, { id: 'lb', interfaceId: 'eni-1', host: 'n1' })
  const volume = create(VolumeSchema, { id: 'vol-1', host: 'n1' })
  const snapshot = create(VolumeSnapshotSchema, { id: 'snap-1', host: 'n1' })
  const resources = [
    resource('balancer/eni-1', { case: 'balancer', value: balancer }),
    resource('volume/vol-1', { case: 'volume', value: volume }),
    resource('snapshot/snap-1', { case: 'volumeSnapshot', value: snapshot }),
  ]
  state.accept('e', { kind: 'snapshot', generation: 1, resources })
  const nodes = new Nodes({ cloud: 'c', rack: 'a', state, board, log: silentLog })
  const about = { interfaceId: 'eni-1', id: 'lb', host: 'n1', serving: true }
  const target = create(TargetStatusSchema, { interfaceId: 'eni-1', address: '10.0.0.5' })
  const instance = create(InstanceStatusSchema, { id: 'i-1', host: 'n1' })
  const statuses = [
    create(StatusSchema, {
      key: 'balancer/eni-1',
      body: { case: 'balancer', value: create(BalancerStatusSchema, about) },
    }),
    create(StatusSchema, {
      key: 'target/eni-1/tg/10.0.0.5/80',
      body: { case: 'target', value: target },
    }),
    create(StatusSchema, {
      key: 'images/n1',
      body: { case: 'images', value: create(ImagesStatusSchema, { host: 'n1' }) },
    }),
    create(StatusSchema, { key: 'instance/i-1', body: { case: 'instance', value: instance } }),
    volumeStatus('vol-1', 'n1'),
    create(StatusSchema, {
      key: 'snapshot/snap-1',
      body: {
        case: 'volumeSnapshot',
        value: create(SnapshotStatusSchema, { id: 'snap-1', host: 'n1' }),
      },
    }),
  ]
  const reportOf = (host: string) => {
    const agent = { kind: 'host', cloud: 'c', rack: 'a', host, roles: ['nc'] } as const
    return nodes.parentEnd().report(agent, false, statuses)
  }
  await reportOf('n2')
  assert.deepEqual(board.all(), [])
  await reportOf('n1')
  assert.deepEqual(
    board.all().map(({ key }) => key),
    statuses.map(({ key }) => key),
  )
  const foreign = [
    { ...statuses[0], key: 'balancer/eni-2' } as (typeof statuses)[0],
    { ...volumeStatus('vol-1', 'n1'), key: 'volume/vol-2' },
    volumeStatus('vol-3', 'n1'),
  ]
  const agent = { kind: 'host', cloud: 'c', rack: 'a', host: 'n1', roles: ['nc'] } as const
  await nodes.parentEnd().report(agent, false, foreign)
  assert.equal(board.all().length, statuses.length)
  state.close()
  rmSync(dir, { recursive: true })
})

function volumeStatus(id: string, host: string) {
  const value = create(VolumeStatusSchema, { id, host })
  return create(StatusSchema, { key: `volume/${id}`, body: { case: 'volume', value } })
}
