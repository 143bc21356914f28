// A sealer with a master key of its own, for tests.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSealer, type Sealer } from '../../gateway/secrets.ts'
import type { Ending } from './cloud.ts'

export async function testSealer(t: Ending): Promise<Sealer> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-key-'))
  t.after(() => rm(dir, { recursive: true }))
  return openSealer(join(dir, 'master.key'), { create: true })
}
