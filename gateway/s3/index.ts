// S3 as the public port takes it: its operations and what guards them, made of what they need.

import type { GatewayConfig } from '../files.ts'
import { createGuard } from './buckets/access.ts'
import { createCors } from './buckets/cors.ts'
import { bucketHandlers } from './buckets/index.ts'
import type { LifeParts } from './buckets/life.ts'
import type { NotificationParts } from './buckets/notifications.ts'
import { resourceTagHandlers } from './buckets/tagging.ts'
import { createSiteOf } from './buckets/website.ts'
import { objectHandlers } from './objects/index.ts'
import type { ObjectParts } from './objects/parts.ts'
import type { S3Service } from './wire/running.ts'

export interface S3Parts extends Omit<LifeParts, 'contents'>, NotificationParts, ObjectParts {
  readonly config: S3Settings
  readonly state: LifeParts['state']
}

type S3Settings = Pick<GatewayConfig, 's3Domains' | 's3WebsiteDomains' | 's3SignatureV2'>

/** Every machine finds itself under names that end so (RFC 6761). */
const LOCAL = 'localhost'
/** What AWS has between a bucket and the region's name. */
const WEBSITE = 's3-website'

export function s3Service(parts: S3Parts): S3Service {
  const { s3Domains, s3WebsiteDomains, s3SignatureV2 } = parts.config
  const domains = [...namesIn(s3Domains), LOCAL]
  const websiteDomains = [
    ...namesIn(s3WebsiteDomains),
    ...domains.map((name) => `${WEBSITE}.${name}`),
  ]
  return {
    handlers: {
      ...bucketHandlers({ ...parts, contents: parts.index }),
      ...objectHandlers(parts),
      ...resourceTagHandlers(parts),
    },
    guard: createGuard(parts.state, parts.index),
    cors: createCors(parts.state),
    acceptsV2: s3SignatureV2 === 'on',
    domains,
    websites: { domains: websiteDomains, siteOf: createSiteOf(parts.state) },
  }
}

function namesIn(list: string): string[] {
  const names = list.split(',').map((name) => name.trim().toLowerCase())
  return names.filter((name) => name !== '')
}
