// What programs that run inside a lone machine need of its kernel: there is no udev, and nothing is
// loaded by itself.

import { existsSync } from 'node:fs'
import { exec } from '../../../common/exec.ts'

/** For `skip`: these programs change the kernel that they run on. */
export const whyNotInside = existsSync('/sbin/mallee-init')
  ? false
  : 'runs inside a machine of test/kernel'

/** Throws CommandFailed that names the module that the kernel lacks. */
export async function loadModules(...names: readonly string[]): Promise<void> {
  await exec(['modprobe', '-a', ...names], { timeoutMs: 60_000 })
}
