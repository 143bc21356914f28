// Forms as web pages send them, with policies signed by the letter of AWS's documentation.

import { createHmac } from 'node:crypto'
import { KEY } from '../../http/support.ts'
import { signed } from './support.ts'

export type Fields = Readonly<Record<string, string>>
export type Conditions = readonly unknown[]

export const KEY_ANY = ['starts-with', '$key', '']

/** In this order, the file last. */
export function formOf(fields: Fields, file: Blob | null = new Blob(['content']), name = 'a.txt') {
  const form = new FormData()
  for (const [field, value] of Object.entries(fields)) form.append(field, value)
  if (file !== null) form.append('file', file, name)
  return form
}

/** What the maker of a form puts into it: the policy has these conditions and those of signing. */
export function signedFields(conditions: Conditions, fields: Fields, expiration = later()): Fields {
  const { scope, timestamp, key } = signed(0, {})
  const credential = `${KEY.accessKeyId}/${scope}`
  const all = {
    expiration,
    conditions: [
      ...[...conditions, { bucket: 'bucket' }, { 'x-amz-algorithm': 'AWS4-HMAC-SHA256' }],
      ...[{ 'x-amz-credential': credential }, { 'x-amz-date': timestamp }],
    ],
  }
  return { ...fields, ...signPolicy(JSON.stringify(all), { credential, timestamp, key }) }
}

export function signPolicy(
  text: string,
  { credential, timestamp, key }: { credential: string; timestamp: string; key: Buffer },
): Fields {
  const policy = Buffer.from(text).toString('base64')
  return {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': credential,
    'x-amz-date': timestamp,
    policy,
    'x-amz-signature': createHmac('sha256', key).update(policy).digest('hex'),
  }
}

export async function post(url: string, body: FormData, init: RequestInit = {}) {
  const response = await fetch(`${url}/bucket`, {
    ...{ method: 'POST', body, redirect: 'manual', ...init },
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

export function later(): string {
  return iso(3_600_000)
}

export function iso(inMs: number): string {
  return new Date(Date.now() + inMs).toISOString()
}
