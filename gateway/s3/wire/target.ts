// What a request is about: a bucket and a key, from path and host (S3 user guide, "Virtual hosting
// of general purpose buckets").

import { S3Error } from './error.ts'

export interface Target {
  /** Null: the service itself. */
  readonly bucket: string | null
  /** Null: the bucket itself. */
  readonly key: string | null
}

const MAX_KEY_BYTES = 1024
/** Visible ASCII: whatever else a path has is percent-encoded. */
const RAW_PATH = /^\/[\x21-\x7e]*$/

/**
 * `host` is the header's value, `path` is as on the wire. In the virtual-hosted style the host is
 * `<bucket>.<one of domains>`, which are in lower case. Throws InvalidURI, KeyTooLongError.
 */
export function targetOf(host: string, path: string, domains: readonly string[]): Target {
  if (!RAW_PATH.test(path)) throw invalidUri()
  const inHost = bucketOfHost(host, domains)
  if (inHost !== null) return { bucket: inHost, key: keyOf(path.slice(1)) }
  const slash = path.indexOf('/', 1)
  const bucket = decoded(slash < 0 ? path.slice(1) : path.slice(1, slash))
  if (bucket === '') {
    if (slash >= 0) throw invalidUri()
    return { bucket: null, key: null }
  }
  return { bucket, key: slash < 0 ? null : keyOf(path.slice(slash + 1)) }
}

/** The bucket that a host names; null for the endpoint itself, or any other name or address. */
export function bucketOfHost(host: string, domains: readonly string[]): string | null {
  const name = host.replace(/:\d*$/, '').toLowerCase()
  for (const domain of domains) {
    if (name.endsWith(`.${domain}`)) return name.slice(0, -domain.length - 1)
  }
  return null
}

function keyOf(rest: string): string | null {
  if (rest === '') return null
  const key = decoded(rest)
  const bytes = Buffer.byteLength(key)
  if (bytes <= MAX_KEY_BYTES) return key
  throw new S3Error('KeyTooLongError', 'Your key is too long', 400, {
    Size: String(bytes),
    MaxSizeAllowed: String(MAX_KEY_BYTES),
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalidUri()
  }
}

function invalidUri(): S3Error {
  return new S3Error('InvalidURI', "Couldn't parse the specified URI.", 400)
}
