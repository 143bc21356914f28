// Program of the test of images on a full disk, started by `unshare --mount`: a tiny tmpfs of its
// own, mounted at argv[2], on which images have to make room for each other. Prints what it saw.

import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Images } from '../../cluster-agent/images/images.ts'
import { CHUNK_BYTES } from '../../common/chunk-list.ts'
import { codeOf, messageOf } from '../../common/errors.ts'
import { exec } from '../../common/exec.ts'
import { silentLog } from '../../common/log.ts'
import { until } from '../../sandbox/until.ts'
import {
  fastClock,
  type TestImage,
  testImage,
  testSource,
} from '../cluster-agent/images/support.ts'
import { gate } from './file-images.ts'

const folder = process.argv[2] ?? ''
await exec(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder])
const dir = join(folder, 'images')

const NAMES = ['unused', 'used', 'next', 'late'] as const
const [unused, used, next, late] = [testImage(4), testImage(5), testImage(8), testImage(7)]
const all = [unused, used, next, late]
const held = gate((index) => index > 2)

const images = new Images({
  ...{ dir, maxBytes: null, reserveBytes: CHUNK_BYTES, hasMachines: true, chance: () => 0 },
  ...{ clock: fastClock(20), log: silentLog },
  fetchList: async ({ sha256 }) => find(sha256).list,
  findSources: async ({ sha256 }) => {
    const source = testSource(find(sha256), 'parent')
    const { chunk } = source
    const isHeld = sha256 === late.ref.sha256
    return [
      {
        ...source,
        chunk: async (...call) => {
          if (isHeld) await held.before(...call)
          return chunk(...call)
        },
      },
    ]
  },
})

const bring = (image: TestImage) => images.whole(image.ref.sha256, image.ref.listSha256)
await bring(unused)
await bring(used)
for (let pass = 0; pass < 2; pass++) await images.use(new Set([used.ref.sha256]))
await bring(next)
const afterNext = kept()

const inUse = new Set([used.ref.sha256, next.ref.sha256])
for (let pass = 0; pass < 2; pass++) await images.use(inUse)
const noRoom = await refusal(late)
const afterRefusal = kept()

// With room at first, which somebody else takes while it comes.
for (let pass = 0; pass < 2; pass++) await images.use(new Set([used.ref.sha256]))
const coming = refusal(late)
await until('it comes', () => held.waiting().length > 0)
const ballast = join(folder, 'ballast')
const { bavail, bsize } = statfsSync(folder)
try {
  writeFileSync(ballast, Buffer.alloc(bavail * bsize))
} catch (error) {
  // What comes has taken some of it since: the disk is as full.
  if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
}
held.release()
const midway = await coming
rmSync(ballast)
// Other chunks of the same moment may still be refused.
await until('it came', async () => (await refusal(late)) === null)
await images.close()

process.stdout.write(JSON.stringify({ afterNext, noRoom, afterRefusal, midway, atLast: kept() }))

/** The code of the refusal and its sentence; null when it came. */
async function refusal(image: TestImage): Promise<readonly [string | null, string] | null> {
  return bring(image).then(
    () => null,
    (error: unknown) => [codeOf(error), messageOf(error)] as const,
  )
}

function kept(): string[] {
  const there = readdirSync(dir).filter((name) => /^[0-9a-f]{64}$/.test(name))
  return NAMES.filter((_, index) => there.includes(all[index]?.ref.sha256 ?? ''))
}

function find(sha256: string): TestImage {
  const found = all.find(({ ref }) => ref.sha256 === sha256)
  if (found === undefined) throw new RangeError(sha256)
  return found
}
