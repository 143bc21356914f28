// The setting of a gateway that says how often an account may call it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DescribeVpcsCommand } from '@aws-sdk/client-ec2'
import { startCloud } from '../support/cloud.ts'

test('a gateway with a small apiRateFactor refuses the second call of an action', async (t) => {
  const cloud = await startCloud(t, { apiRateFactor: 0.001 })
  const ec2 = cloud.ec2()
  await ec2.send(new DescribeVpcsCommand({}))
  await assert.rejects(ec2.send(new DescribeVpcsCommand({})), {
    name: 'RequestLimitExceeded',
    message: /^Request limit exceeded\. Account \d{12} has been throttled on ec2:DescribeVpcs /,
  })
})
