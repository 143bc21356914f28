// What a host of the kernel's world runs as its first program. Before it answers the test it finds
// out whether KVM runs a guest, with more time than the agent takes for it.

import { mkdirSync } from 'node:fs'
import { probeAccelerator } from '../../common/accelerator.ts'
import { exec } from '../../common/exec.ts'
import { answerTest } from './answer.ts'

const RUN_DIR = '/run/mallee'
const PROBE_MS = 60_000

await answerTest(async () => {
  mkdirSync(RUN_DIR, { recursive: true })
  const { sentence } = await probeAccelerator(exec, { runDir: RUN_DIR, timeoutMs: PROBE_MS })
  console.log(sentence)
})
