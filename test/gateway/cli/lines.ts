// A process that runs lines of `mallee` one after the other, each as if it were the only one.

import { runCli } from '../../../common/cli.ts'
import { root } from '../../../gateway/cli/commands.ts'

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

process.on('message', async (words: string[]) => {
  const said: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] }
  const [stdout, stderr] = [process.stdout.write, process.stderr.write]
  process.stdout.write = (text: string | Uint8Array) => said.stdout.push(String(text)) > 0
  process.stderr.write = (text: string | Uint8Array) => said.stderr.push(String(text)) > 0
  process.exitCode = 0
  await runCli('mallee', root, words)
  process.stdout.write = stdout
  process.stderr.write = stderr
  const exitCode = Number(process.exitCode)
  const ran: Ran = { stdout: said.stdout.join(''), stderr: said.stderr.join(''), exitCode }
  process.exitCode = 0
  process.send?.(ran)
})
