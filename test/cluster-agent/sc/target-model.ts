// Targets of the model of a storage host, and the files that they serve.

import type { VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import type { ServedTarget } from '../../../cluster-agent/sc/volumes/targets.ts'
import type { Grant } from '../../../cluster-agent/sc/volumes/wanted.ts'

/** It shows just the initiator of a session. */
type Session = ServedTarget['sessions'][number] & { readonly user: string }
export type Target = {
  -readonly [Field in Exclude<keyof ServedTarget, 'sessions'>]: ServedTarget[Field]
} & {
  sessions: readonly Session[]
}

export function isRetired({ luns, initiators }: Pick<Target, 'luns' | 'initiators'>): boolean {
  return luns.length === 0 && initiators.length > 0
}

export function canLogin({ accounts, initiators }: ServedTarget, grant: Grant): boolean {
  return accounts.includes(grant.chapUser) && initiators.includes(grant.initiatorIqn)
}

export function isOf(id: VolumeId, file: string | undefined): boolean {
  return file === fileOf(id) || file === shownFileOf(id)
}

export function shownFileOf(id: VolumeId): string {
  return `/run/${id}.raw`
}

export function fileOf(id: VolumeId): string {
  return `/volumes/${id}.raw`
}
