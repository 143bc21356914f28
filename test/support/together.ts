// Test files that run in one process, one after the other: to start one loads half of the project,
// which takes longer than what most files test. Each becomes a suite with its own hooks.

import { writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Their files leave nothing behind in the process, and none of them is long. */
const SHARING = [
  'test/cluster-agent/',
  'test/common/',
  'test/gateway/',
  'test/proto/',
  'test/sandbox/',
  'test/topology/',
]
/** A process that takes longer keeps the others waiting at the end. */
const MOST_FILES = 12

/**
 * What to run instead of the files, in their order: programs in `folder` for those that share a
 * process, the others as they are.
 */
export function together(
  files: readonly string[],
  folder: string,
  sharing: readonly string[] = SHARING,
): string[] {
  const groups: { readonly of: string; readonly files: string[] }[] = []
  for (const file of files) {
    const of = sharing.some((one) => file.startsWith(one)) ? dirname(file) : file
    const last = groups.at(-1)
    if (last?.of === of && last.files.length < MOST_FILES) last.files.push(file)
    else groups.push({ of, files: [file] })
  }
  return groups.flatMap(({ files: all }, n) => {
    if (all.length === 1) return all
    const path = join(folder, `together-${n}.mjs`)
    writeFileSync(path, program(all))
    return [path]
  })
}

function program(files: readonly string[]): string {
  const suites = files.map((file) => {
    const at = JSON.stringify(resolve(file))
    return `describe(${JSON.stringify(file)}, async () => void (await import(${at})))\n`
  })
  return `import { describe } from 'node:test'\n${suites.join('')}`
}
