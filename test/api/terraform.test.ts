// What Terraform's provider asks of its resources from create to destroy, and Packer's builder, as
// boto3 sends it: refreshes that read the same twice, updates in place, and codes of what is gone.

import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { exec } from '../../common/exec.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'
import { addHost, addTwoRacks, connected } from '../support/simulated-rack.ts'
import { startWebhook } from '../support/webhook.ts'
import { makeImage } from './support.ts'

const PYTHON = '/usr/bin/python3'
const MAIN = join(import.meta.dirname, 'terraform/main.py')
const LIFE_MS = 110_000
const LIVES = [
  ...['aws_vpc', 'aws_security_group', 'aws_eip', 'aws_instance', 'packer', 'aws_iam_role'],
  ...['aws_ebs_volume', 'aws_vpn_gateway'],
  ...['aws_lb', 'aws_autoscaling_group', 'aws_s3_bucket', 'aws_s3_object'],
  // Subnets, gateways, route tables, key pairs.
  'ways',
]
/** At once. */
const LANES = 3

const end = lastFirst({ after })
const hook = await startWebhook()
end.after(() => hook.close())
const cloud = await startCloud(end)
const { cc: parent } = await addTwoRacks(cloud)
const sc = await addHost(cloud, { rack: 'a', host: 'a-sc', roles: ['sc'], parent })
await connected(cloud, [sc])
const image = await makeImage(cloud, cloud.ec2())
const pool = { cidr: '203.0.113.0/28', racks: [], exclude: [] }
await cloud.local({ method: 'POST', path: '/v1/pools', body: pool })
const lab = { method: 'POST', path: '/v1/accounts', body: { name: 'lab' } } as const
const { account: other } = await cloud.local<{ readonly account: string }>(lab)
const topic = `arn:aws:sns:${cloud.init.region}:${cloud.init.account}:hook`
const target = { name: 'hook', kind: 'webhook', url: hook.url, account: '', secret: '' }
const path = '/v1/event-targets'
await cloud.local({ method: 'POST', path, body: { ...target, maxLength: 1_000 } })

describe('what Terraform asks', { concurrency: LANES }, () => {
  for (const name of LIVES) {
    test(`of ${name}`, async () => {
      const { accessKeyId: key, secretAccessKey: secret } = cloud.init
      const url = `http://127.0.0.1:${cloud.config.apiPort}`
      const input = JSON.stringify({ name, url, key, secret, image, topic, other })
      // Python would keep what it compiled beside the sources.
      const env = { PYTHONDONTWRITEBYTECODE: '1' }
      await exec([PYTHON, MAIN], { input, env, timeoutMs: LIFE_MS })
    })
  }
})
