// The lines of curl in the documentation do what it says, on a real socket.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { exec } from '../../../common/exec.ts'
import { DEFAULT_SOCKET } from '../../../gateway/files.ts'
import { startLocalServer } from '../../../gateway/local/server.ts'
import { answerChecker, type Document } from '../../support/document.ts'
import { testSealer } from '../../support/sealer.ts'
import { openCloud } from '../ec2/support.ts'
import { localParts } from './support.ts'

const DOCS = join(import.meta.dirname, '../../../docs')

test('every line of curl in the documentation is answered as the document says', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-docs-'))
  const socket = join(dir, 'gateway.sock')
  const cloud = await openCloud(t, { racks: ['a'] })
  const server = await startLocalServer(socket, localParts(cloud, { sealer: await testSealer(t) }))
  t.after(async () => {
    await server.close()
    await rm(dir, { recursive: true })
  })
  assert.equal((await stat(socket)).mode & 0o777, 0o600, 'for root alone')
  const ask = async (line: string): Promise<[status: number, body: unknown]> => {
    const there = line.replace(DEFAULT_SOCKET, socket)
    const { stdout } = await exec(['bash', '-c', `${there} -sS -w '\\n%{http_code}'`])
    const [body = '', status = ''] = stdout.split('\n')
    return [Number(status), JSON.parse(body)]
  }
  const at = `curl --unix-socket ${DEFAULT_SOCKET} http://localhost`
  const [, document] = await ask(`${at}/v1/openapi.json`)
  const { check } = await answerChecker(document as Document)
  const lines = await curlLines()
  assert.ok(lines.length >= 4, lines.join('\n'))
  for (const line of lines) {
    assert.ok(line.startsWith(at), line)
    const [status, body] = await ask(line)
    assert.equal(status, 200, `${line}: ${JSON.stringify(body)}`)
    const method = / -X (\w+)/.exec(line)?.[1] ?? (line.includes(' -d ') ? 'POST' : 'GET')
    const url = /http:\/\/localhost(\S+)/.exec(line)?.[1] ?? ''
    await check(method, url, status, body)
  }
})

async function curlLines(): Promise<string[]> {
  const pages = (await readdir(DOCS)).filter((name) => name.endsWith('.md'))
  const texts = await Promise.all(pages.map((name) => readFile(join(DOCS, name), 'utf8')))
  return texts.flatMap((text) =>
    text
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .filter((line) => line.startsWith('curl --unix-socket')),
  )
}
