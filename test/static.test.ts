// What tools can check without running anything: types, format, dead code, protocol, set-up.

import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { messageOf } from '../common/errors.ts'
import { exec } from '../common/exec.ts'

const ROOT = join(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')
const TOOL_MS = 180_000
/** Licences that Apache-2.0 goes together with, without conditions for users of the network. */
const LICENCES =
  /^(MIT|ISC|BSD-[23]-Clause|Apache-2\.0|0BSD|MIT-0|CC0-1\.0|Unlicense|BlueOak-1\.0\.0)$/

for (const [what, argv] of [
  ['tsc finds no type error', ['tsc']],
  ['biome finds nothing to format or to mend', ['biome', 'check', '--error-on-warnings', '.']],
  ['knip finds no dead code and no missing dependency', ['knip']],
  ['buf lint finds nothing in the protocol', ['buf', 'lint']],
] as const) {
  test(what, async () => {
    const [tool, ...args] = argv
    await check([join(BIN, tool), ...args])
  })
}

test('buf breaking finds that the protocol still serves the previous commit', async (t) => {
  const git = await exec(['git', 'rev-parse', '--verify', '--quiet', 'HEAD~1:proto'], {
    cwd: ROOT,
    okCodes: [0, 1, 128],
  })
  if (git.code !== 0) return t.skip('there is no previous commit with a protocol')
  await check([join(BIN, 'buf'), 'breaking', '--against', '.git#ref=HEAD~1'])
})

test('proto/gen is what buf generates', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gen-'))
  try {
    await check([join(BIN, 'buf'), 'generate', '--output', dir])
    const fresh = filesBelow(join(dir, 'proto/gen'))
    assert.notDeepEqual(fresh, new Map())
    assert.deepEqual(filesBelow(join(ROOT, 'proto/gen')), fresh)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('package-lock.json names every optional package, so that npm ci takes it', () => {
  const packages = Object.entries(lockedPackages())
  const names = new Set(packages.map(([path]) => path.replace(/^.*node_modules\//, '')))
  const missing = packages
    .flatMap(([, one]) => Object.keys(one.optionalDependencies ?? {}))
    .filter((name) => !names.has(name))
  assert.deepEqual(missing, [])
})

test('licences of all packages go together with ours', () => {
  const folders = Object.keys(lockedPackages()).filter((path) => path !== '')
  const bad = folders.flatMap((path) => {
    const licence = licenceOf(path)
    // Of another platform: not installed here, and of the same project as the one that is.
    if (licence === null) return []
    const parts = licence.replace(/[()]/g, '').split(/ (?:AND|OR) /)
    return parts.every((part) => LICENCES.test(part)) ? [] : [`${path}: ${licence}`]
  })
  assert.deepEqual(bad, [])
  assert.equal(licenceOf('node_modules/fastify'), 'MIT')
})

for (const file of globSync(['setup/**/*.sh', 'sandbox/**/*.sh', 'bin/*', '.ci/run'], {
  cwd: ROOT,
})) {
  test(`${file} is a script that its shell can read and that can be run`, async () => {
    const [first = ''] = readFileSync(join(ROOT, file), 'utf8').split('\n')
    const sourced = first.startsWith('# shellcheck shell=bash')
    const shell = sourced || first === '#!/usr/bin/env bash' ? 'bash' : 'sh'
    if (shell === 'sh') assert.equal(first, '#!/bin/sh')
    await check([shell, '-n', join(ROOT, file)])
    if (!sourced) await check(['test', '-x', join(ROOT, file)])
  })
}

/** Fails with all that the tool says. */
async function check(argv: readonly string[]): Promise<void> {
  const env = { NO_COLOR: '1', HOME: process.env['HOME'] ?? '/root' }
  const okCodes = Array.from({ length: 256 }, (_, code) => code)
  const answer = await exec(argv, { cwd: ROOT, env, timeoutMs: TOOL_MS, okCodes })
  assert.equal(answer.code, 0, `${answer.stdout}${answer.stderr}`)
}

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

function lockedPackages(): Record<string, Locked> {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
  return (lock as { packages: Record<string, Locked> }).packages
}

function licenceOf(path: string): string | null {
  try {
    const text = readFileSync(join(ROOT, path, 'package.json'), 'utf8')
    return (JSON.parse(text) as { license?: string }).license ?? 'none'
  } catch (error) {
    if (messageOf(error).includes('ENOENT')) return null
    throw error
  }
}

function filesBelow(dir: string): Map<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  )
  return new Map(
    files
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((file) => [file.slice(dir.length), readFileSync(file, 'utf8')]),
  )
}
