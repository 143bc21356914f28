// npm run -s bench -- NAME...: runs benchmarks one after the other.
//   0 all measured   1 one failed (the others still run)   2 no name, or one that is not here

import { type Bench, emit } from './harness.ts'

/** Loaded when asked for: some bring a whole cloud with them. */
const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  allocator: () => import('./allocator.ts'),
  api: () => import('./api.ts'),
  ebs: () => import('./ebs.ts'),
  'ebs-small': async () => ({ run: (await import('./ebs.ts')).runSmall }),
  eip: () => import('./eip.ts'),
  flows: () => import('./flows.ts'),
  groups: () => import('./groups.ts'),
  idle: () => import('./idle.ts'),
  'image-start': () => import('./image-start.ts'),
  join: () => import('./join.ts'),
  launch: () => import('./launch.ts'),
  networks: () => import('./networks.ts'),
  overlay: () => import('./overlay.ts'),
  'peer-clouds': () => import('./peer-clouds.ts'),
  peering: () => import('./peering.ts'),
  'peering-limits': async () => ({ run: (await import('./peering.ts')).runLimits }),
  policies: () => import('./policies.ts'),
  s3: () => import('./s3.ts'),
  's3-small': async () => ({ run: (await import('./s3.ts')).runSmall }),
  's3-store': () => import('./s3-store.ts'),
  store: () => import('./store.ts'),
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name))
  if (unknown.length > 0 || names.length === 0) {
    const problem = names.length === 0 ? 'no benchmark named' : `no benchmark ${unknown.join(', ')}`
    const all = Object.keys(BENCHES).join(' ')
    process.stderr.write(`${problem}\nUsage: npm run -s bench -- NAME...\nBenchmarks: ${all}\n`)
    return 2
  }
  let failed = 0
  for (const name of names) {
    try {
      const bench = await BENCHES[name]?.()
      await bench?.run(emit)
    } catch (error) {
      failed += 1
      process.stderr.write(`${name} failed: ${error instanceof Error ? error.stack : error}\n`)
    }
  }
  return failed > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
