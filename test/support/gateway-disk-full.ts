// Program of the test of a full disk, started by `unshare --mount`: a gateway whose state folder is
// a tiny tmpfs of its own, filled through the EC2 API. Prints what it saw as JSON.

import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EC2ServiceException, GetConsoleOutputCommand } from '@aws-sdk/client-ec2'
import { codeOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { filesOf } from '../../gateway/files.ts'
import { until } from '../../sandbox/until.ts'
import { describe, idsOf, makeImage, reach, run } from '../api/support.ts'
import { type Ending, startCloud, type TestCloud } from './cloud.ts'
import { addHost, connected } from './simulated-rack.ts'

const DISK_MIB = 16
/** Left when the ballast is in: some dozens of instances. */
const FREE_BYTES = 1 << 20
const USER_DATA = Buffer.alloc(12_000, 'x').toString('base64')

const steps: (() => Promise<void>)[] = []
const end: Ending = { after: (step) => void steps.push(step) }
try {
  process.stdout.write(JSON.stringify(await fill()))
} finally {
  for (const step of steps) await step()
}

async function fill(): Promise<object> {
  const cloud = await startCloud(end, {
    prepare: async (stateDir) => {
      await exec(['mkdir', '-p', stateDir])
      await exec(['mount', '-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', stateDir])
      end.after(async () => void (await exec(['umount', '--lazy', stateDir])))
    },
  })
  const host = await addHost(cloud, { rack: 'a', host: 'a-cc', roles: ['cc', 'nc'], vcpus: 1_000 })
  await connected(cloud, [host])
  const ec2 = cloud.ec2()
  const wish = { ImageId: await makeImage(cloud, ec2), UserData: USER_DATA }
  const { stateDir } = cloud.config
  const ballast = join(stateDir, 'ballast')
  const { bavail, bsize } = statfsSync(stateDir)
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - FREE_BYTES))

  const ids: string[] = []
  let refused: EC2ServiceException | null = null
  for (let n = 0; n < 1_000 && refused === null; n++) {
    try {
      ids.push(...idsOf(await run(ec2, wish)))
    } catch (error) {
      refused = error as EC2ServiceException
    }
  }
  const seen = idsOf(await describe(ec2))
  const console = await ec2
    .send(new GetConsoleOutputCommand({ InstanceId: ids[0] }))
    .then(({ Output = '' }) => Buffer.from(Output, 'base64').toString().slice(0, 9))
  const importCode = await importLarge(cloud).catch(codeOf)
  // An image's list of chunks lies beside its file.
  const files = readdirSync(filesOf(stateDir).blobs).map((name) => name.replace(/^[^.]*/, ''))

  rmSync(ballast)
  await until('there is room again', () =>
    run(ec2, wish).then(
      (made) => ids.push(...idsOf(made)) > 0,
      () => false,
    ),
  )
  await reach(ec2, ids, 'running', 30_000)
  await cloud.stop()
  const stored = await cloud.withState(async (state) => ({
    instances: state
      .view()
      .all('instance')
      .map((one) => one.id),
    interfaces: state.view().all('interface').length,
    addresses: new Set(
      state
        .view()
        .all('interface')
        .map((one) => one.ipv4),
    ).size,
  }))
  const { name: code, $metadata: metadata } = refused ?? { name: '', $metadata: {} }
  return {
    ...{ code, status: metadata.httpStatusCode, acknowledged: ids.length - 1 },
    shownWhenFull: same(seen, ids.slice(0, -1)),
    ...{ console, importCode, files: files.sort() },
    storedAll: same(stored.instances, ids),
    interfaces: stored.interfaces - ids.length,
    addresses: stored.addresses - ids.length,
  }
}

/** A file that the disk has no room for. */
async function importLarge(cloud: TestCloud): Promise<string> {
  const path = join(cloud.dir, 'large.raw')
  writeFileSync(path, Buffer.alloc(4 << 20, 1))
  const file = { path, onProgress: () => undefined }
  await cloud.local({ method: 'PUT', path: '/v1/blobs?name=large', file })
  return 'accepted'
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length
}
