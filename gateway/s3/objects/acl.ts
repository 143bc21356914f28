// GetObjectAcl and PutObjectAcl: who may what with an object, where the bucket lets objects say.

import { type AclInput, aclIn, type NewOwner, newObjectAcl } from '../acl/asked.ts'
import { hasAcls, isOwnersOnly, objectAcl, ownersAcl, shownGrants } from '../acl/grants.ts'
import { bucketOf, canonicalId } from '../buckets/bucket.ts'
import type { ObjectEntry } from '../index/objects.ts'
import type { S3Call, S3Handlers } from '../wire/call.ts'
import { checkVersionId, findObject, missing } from './find.ts'
import { askedOf, type ObjectParts, versionShown } from './parts.ts'

/** Of what a call writes. Throws as newObjectAcl. */
export function ownerOf(
  { state }: Pick<ObjectParts, 'state'>,
  call: Pick<S3Call<AclInput>, 'bucket' | 'caller' | 'input'>,
): NewOwner {
  return newObjectAcl(state.view(), bucketOf(call), call.caller?.account ?? null, call.input)
}

export function objectAclHandlers(parts: ObjectParts): S3Handlers {
  return {
    GetObjectAcl: async (call) => {
      const asked = askedOf(call)
      const { bucket } = asked
      const { version } = await findObject(parts, asked, call.input.VersionId, call)
      const owner = hasAcls(bucket) ? version.owner : bucket.account
      const acl = hasAcls(bucket) ? objectAcl(version) : ownersAcl(owner)
      return { output: { Owner: { ID: canonicalId(owner) }, Grants: shownGrants(acl) } }
    },

    PutObjectAcl: async (call) => {
      const { bucket, key } = askedOf(call)
      const { VersionId } = call.input
      if (VersionId !== undefined) checkVersionId(VersionId)
      const view = await parts.state.fresh()
      const refuse = (marker: ObjectEntry | null) =>
        missing({ bucket, key }, VersionId, marker, call.allows)
      const change = (version: ObjectEntry): ObjectEntry => {
        if (version.isDeleteMarker) throw refuse(version)
        call.mayStill?.(version)
        const owner = hasAcls(bucket) ? version.owner : bucket.account
        const acl = aclIn({ view, owner, bucketOwner: bucket.account }, bucket, call.input)
        // What owners had set counts again when the bucket lets it.
        if (!hasAcls(bucket)) return version
        const { acl: _, ...rest } = version
        return { ...rest, ...(!isOwnersOnly(acl, owner) && { acl }) }
      }
      const amended = await parts.index.amend(bucket.id, key, VersionId ?? null, change)
      if (amended === null) throw refuse(null)
      const id = versionShown(bucket, amended)
      return { output: {}, ...(id !== undefined && { headers: { 'x-amz-version-id': id } }) }
    },
  }
}
