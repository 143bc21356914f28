// What operators see of load balancers: every account's, where nodes are and how.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TargetState } from '../../../proto/gen/mallee/v1/balancers_pb.js'
import { ACCOUNT } from '../ec2/support.ts'
import { watched } from '../elb/life-support.ts'
import { localApi } from './support.ts'

test('load balancers are listed with their nodes, and what those see', async (t) => {
  const { cloud, sees } = await watched(t)
  const { call } = localApi(t, cloud)
  await sees('a', { state: TargetState.HEALTHY })
  const { body } = await call('GET', '/v1/load-balancers')
  const view = cloud.state.view()
  const [balancer] = view.all('load-balancer')
  const nodes = balancer?.interfaces.map((id) => view.get('interface', id))
  assert.deepEqual(body['loadBalancers'], [
    {
      ...{ account: ACCOUNT, name: 'web', id: balancer?.id, state: 'provisioning', reason: '' },
      nodes: nodes?.map((one, i) => ({
        ...{ interface: one?.id, rack: one?.rack, host: one?.host, address: one?.ipv4 },
        ...{ serving: false, trouble: '', targets: 1, healthy: i === 0 ? 1 : 0 },
      })),
    },
  ])
})
