// All operations on objects that this cloud answers.

import type { S3Handlers } from '../wire/call.ts'
import { deleteHandlers } from './delete.ts'
import { getHandlers } from './get.ts'
import { listHandlers } from './list.ts'
import { listVersionsHandlers } from './list-versions.ts'
import type { ObjectParts } from './parts.ts'
import { putHandlers } from './put.ts'

export function objectHandlers(parts: ObjectParts): S3Handlers {
  return {
    ...putHandlers(parts),
    ...getHandlers(parts),
    ...deleteHandlers(parts),
    ...listHandlers(parts),
    ...listVersionsHandlers(parts),
  }
}
