// Connections to a target that falls ill: they end when the group says so, and stay else.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { whyNoHosts } from '../../../support/netns.ts'
import { station } from '../stations.ts'
import { Cloud, NODE } from './cloud.ts'

describe('targets that fall ill', { skip: whyNoHosts() ?? false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mallee-unwell-'))
  const [one, two, three] = [station(1), station(2), station(3, 1)]
  let cloud: Cloud

  before(async () => {
    cloud = await Cloud.start(dir, [one, two, three])
  })
  after(async () => {
    await cloud?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  test('connections to a target that falls ill stay, or end when the group says so', async () => {
    const targets = ['2', '3']
    await cloud.apply({ targets: ['2'] })
    await cloud.untilTargets('s2 HEALTHY')
    const stays = await cloud.hold(one, NODE.ipv4, 80)
    await cloud.apply({ targets })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    cloud.says(two, '500')
    await cloud.untilTargets('s2 UNHEALTHY HTTP status 500', 's3 HEALTHY')
    await stays.says('still here')

    cloud.says(two, '200')
    const group = { unhealthyTermination: true }
    await cloud.apply({ targets: ['2'], group })
    await cloud.untilTargets('s2 HEALTHY')
    const ends = await cloud.hold(one, NODE.ipv4, 80)
    await cloud.apply({ targets, group })
    await cloud.untilTargets('s2 HEALTHY', 's3 HEALTHY')
    cloud.says(two, '500')
    await ends.closed()

    // One that is no target any more is not ill.
    cloud.says(two, '200')
    await cloud.apply({ targets: ['2'], group })
    await cloud.untilTargets('s2 HEALTHY')
    const goesOn = await cloud.hold(one, NODE.ipv4, 80)
    await cloud.apply({ targets: ['3'], group })
    await cloud.untilTargets('s3 HEALTHY')
    await goesOn.says('still connected')
  })
})
