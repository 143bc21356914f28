// Large objects: the gateway's memory does not grow with them, one at a time or in parts of the
// real aws CLI, and what comes back is what went up. Costs some 15 seconds of the processors.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { open, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { exec } from '../../common/exec.ts'
import { AWS } from '../../sandbox/aws.ts'
import { signed } from '../gateway/s3/wire/support.ts'
import { lastFirst, startCloud } from '../support/cloud.ts'

const MIB = 1 << 20
const LARGE_BYTES = 512 * MIB
const FILE_BYTES = 1024 * MIB
const PARTS = 16
/** What may come on top: a part of what is sent, so that keeping it all cannot pass. */
const MOST_MORE_BYTES = 128 * MIB
const LOOK_MS = 50
const LONG_MS = 120_000
const BUCKET = '/large'
const UNSIGNED = { payload: 'UNSIGNED-PAYLOAD' }

const cloud = await startCloud(lastFirst({ after }), { child: true })
const { accessKeyId, secretAccessKey: secret, region } = cloud.init
const { apiPort, adminPort } = cloud.config
const noise = Buffer.from(Array.from({ length: MIB }, (_, i) => (i * 7 + (i >> 8)) & 0xff))
await put('', 0)

/** Sends as many bytes, all in pieces of one MiB; nothing for a bucket. */
async function put(key: string, sizeBytes: number): Promise<void> {
  const path = `${BUCKET}${key}`
  const { headers } = signed(apiPort, { accessKeyId, secret, region, path, ...UNSIGNED })
  const length = { 'content-length': String(sizeBytes) }
  const call = request({ port: apiPort, method: 'PUT', path, headers: { ...headers, ...length } })
  const answered = once(call, 'response')
  for (let at = 0; at < sizeBytes; at += MIB) {
    if (!call.write(noise)) await once(call, 'drain')
  }
  call.end()
  const [{ statusCode }] = await answered
  assert.equal(statusCode, 200)
}

/** How many bytes came, and their CRC-32. */
async function get(key: string): Promise<readonly [bytes: number, crc: number]> {
  const path = `${BUCKET}${key}`
  const wish = { accessKeyId, secret, region, path, method: 'GET' }
  const { headers } = signed(apiPort, wish)
  const call = request({ port: apiPort, path, headers }).end()
  const [answer] = await once(call, 'response')
  assert.equal(answer.statusCode, 200)
  let [bytes, crc] = [0, 0]
  for await (const chunk of answer) {
    bytes += chunk.length
    crc = crc32(chunk, crc)
  }
  return [bytes, crc]
}

async function residentBytes(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1])
}

/** The most that the gateway took while `step` ran. */
async function peakDuring(step: () => Promise<void>): Promise<number> {
  const over = new AbortController()
  let peak = 0
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      peak = Math.max(peak, await residentBytes())
      await sleep(LOOK_MS, null, { signal: over.signal }).catch(() => undefined)
    }
  }
  const looking = look()
  await step().finally(() => over.abort())
  await looking
  return Math.max(peak, await residentBytes())
}

const small = await peakDuring(async () => {
  for (let round = 0; round < 4; round++) {
    const keys = Array.from({ length: PARTS }, (_, i) => `/small${i}`)
    await Promise.all(keys.map((key) => put(key, MIB)))
    await Promise.all(keys.map(get))
  }
})

test('one large object up and down takes no more memory than small ones', async () => {
  const peak = await peakDuring(async () => {
    await put('/large', LARGE_BYTES)
    let crc = 0
    for (let at = 0; at < LARGE_BYTES; at += MIB) crc = crc32(noise, crc)
    assert.deepEqual(await get('/large'), [LARGE_BYTES, crc])
  })
  const more = Math.round((peak - small) / MIB)
  assert.ok(peak - small < MOST_MORE_BYTES, `${more} MiB more than ${Math.round(small / MIB)}`)
})

test('the aws CLI uploads a GiB in 16 parts at once, in no more memory either', async () => {
  const file = join(cloud.dir, 'file')
  const handle = await open(file, 'w')
  const partBytes = FILE_BYTES / PARTS
  // Sparse, but no two parts are alike.
  for (let n = 0; n < PARTS; n++) await handle.write(`part ${n}`, n * partBytes + n)
  await handle.truncate(FILE_BYTES)
  await handle.close()
  const config = join(cloud.dir, 'aws-config')
  const lines = ['[default]', 's3 =', `  max_concurrent_requests = ${PARTS}`]
  await writeFile(config, [...lines, `  multipart_chunksize = ${partBytes}`, ''].join('\n'))
  const env = {
    ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secret, HOME: cloud.dir },
    ...{ AWS_DEFAULT_REGION: region, AWS_CONFIG_FILE: config, AWS_EC2_METADATA_DISABLED: 'true' },
  }
  const endpoint = `http://127.0.0.1:${apiPort}`
  const argv = [AWS, '--endpoint-url', endpoint, 's3', 'cp', '--no-progress', file]
  const peak = await peakDuring(async () => {
    await exec([...argv, `s3:/${BUCKET}/file`], { env, timeoutMs: LONG_MS })
  })
  const more = Math.round((peak - small) / MIB)
  assert.ok(peak - small < MOST_MORE_BYTES, `${more} MiB more than ${Math.round(small / MIB)}`)
  let crc = 0
  const back = await open(file)
  for await (const chunk of back.createReadStream({ highWaterMark: MIB })) crc = crc32(chunk, crc)
  assert.deepEqual(await get('/file'), [FILE_BYTES, crc])
  const path = `${BUCKET}/file`
  const { headers } = signed(apiPort, { accessKeyId, secret, region, path, method: 'HEAD' })
  const call = request({ port: apiPort, method: 'HEAD', path, headers }).end()
  const [{ headers: shown }] = await once(call, 'response')
  assert.match(shown.etag, new RegExp(`-${PARTS}"$`))
})
