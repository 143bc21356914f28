// All operations on objects that this cloud answers.

import type { S3Handlers } from '../wire/call.ts'
import { objectAclHandlers } from './acl.ts'
import { attributeHandlers } from './attributes.ts'
import { completeHandlers } from './complete.ts'
import { copyHandlers } from './copy.ts'
import { deleteHandlers } from './delete.ts'
import { getHandlers } from './get.ts'
import { listHandlers } from './list.ts'
import { listVersionsHandlers } from './list-versions.ts'
import { lockHandlers } from './lock.ts'
import type { ObjectParts } from './parts.ts'
import { putHandlers } from './put.ts'
import { objectTaggingHandlers } from './tagging.ts'
import { uploadPartHandlers } from './upload-parts.ts'
import { uploadHandlers } from './uploads.ts'

export function objectHandlers(parts: ObjectParts): S3Handlers {
  return {
    ...putHandlers(parts),
    ...getHandlers(parts),
    ...copyHandlers(parts),
    ...objectTaggingHandlers(parts),
    ...attributeHandlers(parts),
    ...objectAclHandlers(parts),
    ...lockHandlers(parts),
    ...uploadHandlers(parts),
    ...uploadPartHandlers(parts),
    ...completeHandlers(parts),
    ...deleteHandlers(parts),
    ...listHandlers(parts),
    ...listVersionsHandlers(parts),
  }
}
