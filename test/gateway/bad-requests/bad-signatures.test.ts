// Bad signatures: each gets AWS's code and status, over raw HTTP and from boto3's clients.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeIn, signedHeadersOf } from '../http/sign.ts'
import { openWorld } from '../iam/world.ts'
import { sendByBoto3 } from './send.ts'
import { CLIENTS, SIGNATURES } from './signatures.ts'

const BODY = 'Action=DescribeRegions&Version=2016-11-15'

test('bad signatures', async (t) => {
  const { endpoint, root } = await openWorld(t)
  const keys = { accessKeyId: root.accessKeyId, secret: root.secretAccessKey }

  for (const { what, wish, change, code, status } of SIGNATURES) {
    await t.test(`raw: ${what} is ${status} ${code}`, async () => {
      const { method = 'POST', query = '' } = wish
      const body = method === 'POST' ? (wish.body ?? BODY) : ''
      const atMs = Date.now() + (wish.atMs ?? 0)
      const signed = signedHeadersOf(endpoint.port, { ...keys, ...wish, body, atMs })
      const { host: _, authorization, ...rest } = change(signed)
      // A presigned URL has its signature in the query alone.
      const headers =
        authorization === undefined || query !== '' ? rest : { ...rest, authorization }
      const url = `${endpoint.url}/${query === '' ? '' : `?${query}`}`
      const response = await fetch(url, { method, headers, ...(method === 'POST' && { body }) })
      assert.deepEqual([codeIn(await response.text()), response.status], [code, status])
    })
  }

  await t.test('raw: the same without any of it is accepted', async () => {
    const { host: _, ...headers } = signedHeadersOf(endpoint.port, { ...keys, body: BODY })
    const response = await fetch(endpoint.url, { method: 'POST', headers, body: BODY })
    assert.equal(response.status, 200)
  })

  const requests = CLIENTS.map(([, service, action, options]) => {
    return { service, action, asked: {}, options }
  })
  const answers = await sendByBoto3(t, endpoint.url, root, requests)
  for (const [i, [what, service, , , code, status]] of CLIENTS.entries()) {
    await t.test(`boto3: ${service} with ${what} is ${status} ${code}`, () => {
      assert.deepEqual(answers[i], [code, status])
    })
  }
})
