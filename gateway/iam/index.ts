// All IAM actions that this cloud answers. What is not here answers UnsupportedOperation.

import type { IamHandlers } from '../aws/handlers.ts'
import { iamAccountHandlers } from './account.ts'
import { attachmentHandlers } from './attachments.ts'
import { boundaryHandlers } from './boundaries.ts'
import type { IamParts } from './entities.ts'
import { groupHandlers } from './groups.ts'
import { inlinePolicyHandlers } from './inline-policies.ts'
import { instanceProfileHandlers } from './instance-profiles.ts'
import { keyHandlers } from './keys.ts'
import { loginHandlers } from './logins.ts'
import { managedPolicyHandlers } from './managed-policies.ts'
import { roleHandlers } from './roles.ts'
import { tagHandlers } from './tags.ts'
import { userHandlers } from './users.ts'

export function iamHandlers(parts: IamParts): IamHandlers {
  return {
    ...userHandlers(parts),
    ...groupHandlers(parts),
    ...keyHandlers(parts),
    ...roleHandlers(parts),
    ...instanceProfileHandlers(parts),
    ...managedPolicyHandlers(parts),
    ...attachmentHandlers(parts),
    ...inlinePolicyHandlers(parts),
    ...boundaryHandlers(parts),
    ...tagHandlers(parts),
    ...loginHandlers(parts),
    ...iamAccountHandlers(parts),
  }
}
