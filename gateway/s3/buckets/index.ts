// All operations on buckets that this cloud answers.

import type { S3Handlers } from '../wire/call.ts'
import { absentHandlers } from './absent.ts'
import { aclHandlers } from './acl.ts'
import { corsHandlers } from './cors.ts'
import { type BucketEncryptionParts, encryptionHandlers } from './encryption.ts'
import { type LifeParts, lifeHandlers } from './life.ts'
import { lifecycleHandlers } from './lifecycle.ts'
import { loggingHandlers } from './logging.ts'
import { type NotificationParts, notificationHandlers } from './notifications.ts'
import { objectLockHandlers } from './object-lock.ts'
import { policyHandlers } from './policy.ts'
import { publicAccessHandlers } from './public-access.ts'
import { taggingHandlers } from './tagging.ts'
import { versioningHandlers } from './versioning.ts'
import { websiteHandlers } from './website.ts'

export function bucketHandlers(
  parts: LifeParts & NotificationParts & BucketEncryptionParts,
): S3Handlers {
  return {
    ...lifeHandlers(parts),
    ...taggingHandlers(parts),
    ...versioningHandlers(parts),
    ...policyHandlers(parts),
    ...publicAccessHandlers(parts),
    ...corsHandlers(parts),
    ...websiteHandlers(parts),
    ...objectLockHandlers(parts),
    ...lifecycleHandlers(parts),
    ...loggingHandlers(parts),
    ...notificationHandlers(parts),
    ...encryptionHandlers(parts),
    ...aclHandlers(parts),
    ...absentHandlers(),
  }
}
