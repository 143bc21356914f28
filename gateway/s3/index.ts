// S3 as the public port takes it: its operations and what guards them, made of what they need.

import { createGuard } from './buckets/access.ts'
import { createCors } from './buckets/cors.ts'
import { bucketHandlers } from './buckets/index.ts'
import type { LifeParts } from './buckets/life.ts'
import type { NotificationParts } from './buckets/notifications.ts'
import { objectHandlers } from './objects/index.ts'
import type { ObjectParts } from './objects/parts.ts'
import type { S3Service } from './wire/running.ts'

export interface S3Parts extends Omit<LifeParts, 'contents'>, NotificationParts, ObjectParts {
  /** Names under which buckets have hosts of their own, separated by commas; may be ''. */
  readonly domains: string
  /** Whether Signature Version 2 is taken too. */
  readonly acceptsV2: boolean
}

/** Every machine finds itself under names that end so (RFC 6761). */
const LOCAL = 'localhost'

export function s3Service(parts: S3Parts): S3Service {
  const named = parts.domains.split(',').map((name) => name.trim().toLowerCase())
  return {
    handlers: { ...bucketHandlers({ ...parts, contents: parts.index }), ...objectHandlers(parts) },
    guard: createGuard(parts.state),
    cors: createCors(parts.state),
    acceptsV2: parts.acceptsV2,
    domains: [...named.filter((name) => name !== ''), LOCAL],
  }
}
