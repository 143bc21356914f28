// Hosts for experiments: the real rack-join, a process each, no part of the machine touched.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { TerminateInstancesCommand } from '@aws-sdk/client-ec2'
import { exec } from '../../common/exec.ts'
import { until } from '../../sandbox/until.ts'
import { startCloud, type TestCloud } from '../support/cloud.ts'
import { freePorts } from '../support/ports.ts'
import { idsOf, makeImage, reach, run } from './support.ts'

const RACK_JOIN = join(import.meta.dirname, '../../bin/rack-join')
const cloud = await startCloud({ after })

test('rack-join --host simulated makes a CC and its node, and takes them out again', async () => {
  const [sessionPort = 0, joinPort = 0] = await freePorts(2)
  const ports = ['--session-port', `${sessionPort}`, '--join-port', `${joinPort}`]
  const cc = simulated(cloud, 's1')
  const node = simulated(cloud, 's2')
  await cc.join(await token('cc'), cloud.config.joinPort, ['--roles', 'cc', ...ports])
  await node.join(await token('nc'), joinPort, ['--roles', 'nc'])
  const ec2 = cloud.ec2()
  const image = await makeImage(cloud, ec2)
  // The node's room is known with its first report.
  let ids: string[] = []
  await until('the node takes an instance', async () => {
    ids = idsOf(await run(ec2, { ImageId: image }).catch(() => []))
    return ids.length > 0
  })
  await reach(ec2, ids, 'running')
  await assert.rejects(node.rackJoin(['leave']), /1 instances are on (this host|s2)/)
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: ids }))
  await reach(ec2, ids, 'terminated')
  await node.leave()
  await cc.leave()
  assert.deepEqual((await cloud.status()).racks, [])
})

test('an agent of a simulated host does not start as a real one', async () => {
  const host = simulated(cloud, 's3')
  const [sessionPort = 0, joinPort = 0] = await freePorts(2)
  const ports = ['--session-port', `${sessionPort}`, '--join-port', `${joinPort}`]
  await host.join(await token('cc'), cloud.config.joinPort, ['--roles', 'cc', ...ports])
  const agent = join(import.meta.dirname, '../../bin/cluster-agent')
  await assert.rejects(exec([agent, ...host.paths]), /start it with --host simulated/)
  await host.leave()
})

test('rack-join leave --drain takes out a host that has nothing to drain and no part to run', async () => {
  const cc = simulated(cloud, 's4')
  const storage = simulated(cloud, 's5')
  const [sessionPort = 0, joinPort = 0] = await freePorts(2)
  const ports = ['--session-port', `${sessionPort}`, '--join-port', `${joinPort}`]
  await cc.join(await token('cc'), cloud.config.joinPort, ['--roles', 'cc', ...ports])
  await storage.join(await token('sc'), joinPort, ['--roles', 'sc'])
  await storage.rackJoin(['leave', '--drain', '--wait', '30'])
  await cc.leave()
})

async function token(roles: string): Promise<string> {
  const body = { rack: 'lab', roles: roles.split(','), minutes: 5 }
  const answer = await cloud.local({ method: 'POST', path: '/v1/tokens', body })
  return (answer as { token: string }).token
}

function simulated({ dir }: TestCloud, name: string) {
  const at = join(dir, name)
  const paths = ['--state-dir', join(at, 'state'), '--run-dir', join(at, 'run')]
  paths.push('--config', join(at, 'agent.json'))
  const rackJoin = (args: readonly string[], input = '') =>
    exec([RACK_JOIN, ...args, ...paths], { input, timeoutMs: 60_000 })
  // Also after a failed test: an agent is a process of its own.
  cloud.onEnd(async () => {
    if (existsSync(join(at, 'agent.json'))) await rackJoin(['leave', '--force'])
  })
  return {
    paths,
    rackJoin,
    join: (secret: string, port: number, flags: readonly string[]) =>
      rackJoin(
        ['-', '--host', 'simulated', '--host-name', name, ...flags],
        `${secret}@127.0.0.1:${port}`,
      ),
    leave: async () => {
      await rackJoin(['leave'])
      assert.ok(!existsSync(join(at, 'state')), 'the state is gone')
    },
  }
}
