// One request to the metadata service and its answer, without sockets. Who asks was found out by
// the sender's address; nothing in the request has a say in that.

import { STATUS_CODES } from 'node:http'
import type { Instance } from '../../../proto/gen/mallee/v1/desired_pb.js'
import type { InstanceMetadata } from '../../../proto/gen/mallee/v1/tenants_pb.js'
import { MAX_TTL_S, type Tokens } from './tokens.ts'
import { isFolder, listing, metadataTree, type Node, nodeAt, VERSIONS } from './tree.ts'

export interface Asked {
  readonly method: string
  readonly url: string
  /** As node:http has them: lower case, repeated ones joined. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly overIpv6: boolean
  readonly nowMs: number
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string | Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

const TOKEN_PATH = '/latest/api/token'
const TOKEN_HEADER = 'x-aws-ec2-metadata-token'
const TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds'
const MAX_URL = 2048

export function answer(tokens: Tokens, instance: Instance | null, asked: Asked): Answer {
  const { method, url, headers } = asked
  const metadata = instance?.metadata
  if (instance === null || metadata === undefined) return problem(404)
  if (!metadata.enabled || (asked.overIpv6 && !metadata.ipv6)) return problem(403)
  // Another form of target is a proxy's.
  if (!url.startsWith('/') || url.length > MAX_URL) return problem(400)
  if (hasBody(headers)) return problem(400)
  const [path = ''] = url.split('?')
  if (path === TOKEN_PATH) return tokenAnswer(tokens, instance, asked)
  if (method !== 'GET' && method !== 'HEAD') return problem(405, { allow: 'GET, HEAD' })
  const given = headers[TOKEN_HEADER]
  if (given === undefined)
    return metadata.tokensOptional ? found(instance, metadata, path) : problem(401)
  const leftS = typeof given === 'string' ? tokens.check(instance.id, given, asked.nowMs) : null
  if (leftS === null) return problem(401)
  const plain = found(instance, metadata, path)
  return { ...plain, headers: { ...plain.headers, [TTL_HEADER]: String(leftS) } }
}

function tokenAnswer(tokens: Tokens, instance: Instance, asked: Asked): Answer {
  const { method, headers, nowMs } = asked
  if (method !== 'PUT') return problem(405, { allow: 'PUT' })
  // Through a proxy comes whoever can talk a server into fetching something.
  if (headers['x-forwarded-for'] !== undefined) return problem(403)
  const ttl = headers[TTL_HEADER]
  if (typeof ttl !== 'string' || !/^[1-9]\d{0,4}$/.test(ttl) || Number(ttl) > MAX_TTL_S) {
    return problem(400)
  }
  return text(tokens.issue(instance.id, Number(ttl), nowMs), { [TTL_HEADER]: ttl })
}

function found(instance: Instance, metadata: InstanceMetadata, path: string): Answer {
  const segments = decoded(path)
  if (segments === null) return problem(400)
  const [version, ...rest] = segments
  if (version === undefined) return text(VERSIONS.join('\n'))
  if (!VERSIONS.includes(version)) return problem(404)
  const tree = metadataTree(instance, metadata)
  if (rest.length === 0) return text(listing(tree).replaceAll('/', ''))
  const node = nodeAt(tree, rest)
  return node === null ? problem(404) : shown(node)
}

function shown(node: Node): Answer {
  if (typeof node === 'string') return text(node)
  if (isFolder(node)) return text(listing(node))
  return { status: 200, type: 'application/octet-stream', body: node, headers: {} }
}

/** Its names; slashes at the end or doubled say nothing. Null when it is badly encoded. */
function decoded(path: string): string[] | null {
  try {
    return path
      .split('/')
      .filter((one) => one !== '')
      .map((one) => decodeURIComponent(one))
  } catch {
    return null
  }
}

function hasBody(headers: Asked['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0
}

function text(body: string, headers: Answer['headers'] = {}): Answer {
  return { status: 200, type: 'text/plain', body, headers }
}

/** In EC2's words. */
export function problem(status: number, headers: Answer['headers'] = {}): Answer {
  const title = `${status} - ${STATUS_CODES[status]}`
  return {
    status,
    type: 'text/html',
    body: `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>${title}</title>
 </head>
 <body>
  <h1>${title}</h1>
 </body>
</html>
`,
    headers,
  }
}
