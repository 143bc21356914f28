// What operators ask of tenants' networks, through the gateway's socket and the `mallee` command.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { exec } from '../../common/exec.ts'
import type { Finding } from '../../gateway/control/why.ts'
import { startCloud } from '../support/cloud.ts'
import { addTwoRacks } from '../support/simulated-rack.ts'
import { idsOf, makeImage, reach, run } from './support.ts'

const cloud = await startCloud({ after })
await addTwoRacks(cloud)
const ec2 = cloud.ec2()
const ImageId = await makeImage(cloud, ec2)
const [from = '', to = ''] = idsOf(await run(ec2, { ImageId, count: 2 }))
await reach(ec2, [from, to], 'running')
const socket = ['--socket', cloud.config.socket]

test('mallee why exits with 0 for members of one group and with 1 for strangers', async () => {
  const command = ['bin/mallee', 'why', ...socket]
  const { stdout } = await exec([...command, from, to, '80'])
  assert.match(stdout, /^tcp 80 from 10\.\S+ to 10\.\S+: passes, and so does the reply\n/)
  const { code, stdout: json } = await exec([...command, '198.51.100.7', to, '80', '--json'], {
    okCodes: [1],
  })
  assert.equal(code, 1)
  const { passes, steps } = JSON.parse(json) as Finding
  assert.equal(passes, false)
  assert.equal(steps.at(-1)?.code, 'IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS')
})

test('mallee why refuses what is no end, no port or no protocol with 2', async () => {
  for (const rest of [
    ['web', to, '80'],
    [from, to, '65536'],
    [from, to, '80', '--protocol', 'icmp'],
    [from, to, '--protocol', 'udp'],
    [from, to, '80', '--protocol', 'sctp'],
  ]) {
    const { code } = await exec(['bin/mallee', 'why', ...socket, ...rest], { okCodes: [2] })
    assert.equal(code, 2, rest.join(' '))
  }
})

test('mallee identity-certificate prints a certificate that openssl reads', async () => {
  const { stdout } = await exec(['bin/mallee', 'identity-certificate', ...socket])
  const shown = await exec(['openssl', 'x509', '-noout', '-subject'], { input: stdout })
  assert.match(shown.stdout, /identity/)
})
