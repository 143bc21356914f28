// The life of an attachment: what the record of its volume becomes when a user asks, or a host
// reports. Pure. Who may write is decided here and nowhere else:
//   attaching -> (its SC grants) -> (its NC plugs) -> attached
//   -> detaching -> (its NC has it no more) -> released -> (its SC grants it no more) -> gone
// An instance is told of a volume only after its SC said that it is granted. Only words count that
// are said: a report that is missing changes nothing. An old report may be believed once more: then
// a guest loses a volume as by force, and who writes is still decided by the generation at the SC.

import type { VolumeAttachmentRecord, VolumeRecord } from '../store/volume-records.ts'

/** What the one who attaches chooses. */
export type NewAttachment = Omit<
  VolumeAttachmentRecord,
  'generation' | 'state' | 'granted' | 'hasTarget' | 'isForced' | 'trouble'
>

/** Attachment and generation: what a host can say of either. */
export interface Grant {
  readonly attachment: string
  readonly generation: number
}

/** What an SC says of one. */
export interface GrantWord extends Grant {
  /** Is it at the target of its own? An older one does not say. */
  readonly ownTarget?: boolean
}

/** What the host of an instance says. */
export interface InstanceWord {
  readonly instance: string
  readonly host: string
  /** `gone`: terminated. `starts`: not there yet. `unknown`: an old word, or of another host. */
  readonly guest: 'starts' | 'runs' | 'stopped' | 'gone' | 'unknown'
  /** All that the guest has; one with trouble is being plugged or unplugged. */
  readonly plugged: readonly (Grant & { readonly trouble: string; readonly sizeBytes?: number })[]
}

/** Those that may write now or soon: all that are not released. */
export function writersOf({ attachments }: VolumeRecord): readonly VolumeAttachmentRecord[] {
  return attachments.filter(({ state }) => state !== 'released')
}

/** Does its instance's host hear of it? */
export function isTold({ state, granted }: VolumeAttachmentRecord): boolean {
  return granted && (state === 'attaching' || state === 'attached')
}

/**
 * With one more attachment, of the next generation. Throws RangeError when somebody else may write
 * and the volume is for one.
 */
export function withAttachment(volume: VolumeRecord, one: NewAttachment): VolumeRecord {
  const [other] = writersOf(volume)
  if (other !== undefined && !volume.multiAttach) {
    throw new RangeError(`${volume.id} has the attachment ${other.id}`)
  }
  const generation = volume.generation + 1
  const begun = { state: 'attaching', granted: false, hasTarget: true } as const
  const attachments = [...volume.attachments, { ...one, generation, ...begun }]
  return withAttachments({ ...volume, generation }, attachments)
}

/**
 * Its end, as its user wants it. `hasGuest`: its instance may have a guest that uses it. With
 * `isForced` nobody waits for that guest.
 */
export function withDetached(
  volume: VolumeRecord,
  id: string,
  { isForced, hasGuest }: { readonly isForced: boolean; readonly hasGuest: boolean },
): VolumeRecord {
  return eachAttachment(volume, (one) => {
    if (one.id !== id || one.state === 'released') return one
    if (isForced) return { ...one, state: 'released', isForced }
    if (!hasGuest || !one.granted) return { ...one, state: 'released' }
    return one.state === 'detaching' ? one : { ...one, state: 'detaching' }
  })
}

/**
 * The instance is gone for good, or its host is: nobody is asked. The volume goes too when it was
 * to go with the last one that had it, unless the instance was lost and it is what is `kept`.
 */
export function withReleased(
  volume: VolumeRecord,
  instance: string,
  { kept = false }: { readonly kept?: boolean } = {},
): VolumeRecord {
  const going = writersOf(volume).filter((one) => one.instance === instance)
  if (going.length === 0) return volume
  const next = eachAttachment(volume, (one) =>
    going.includes(one) ? { ...one, state: 'released' } : one,
  )
  const isLast = writersOf(next).length === 0
  const goesToo = !kept && isLast && going.some(({ deleteOnTermination }) => deleteOnTermination)
  return goesToo ? { ...next, state: 'deleting' } : next
}

/**
 * A new right to write in place of an old one: of the same instance, elsewhere. The old one is
 * worthless at the SC as soon as that hears of it.
 */
export function withReplaced(
  volume: VolumeRecord,
  id: string,
  fresh: Pick<NewAttachment, 'id' | 'host' | 'chapUser' | 'sealedChapSecret'>,
): VolumeRecord {
  const old = writersOf(volume).find((one) => one.id === id)
  if (old === undefined) return volume
  const { instance, device, deleteOnTermination, attachedAtMs } = old
  const released = eachAttachment(volume, (one) =>
    one === old ? { ...one, state: 'released' } : one,
  )
  return withAttachment(released, {
    ...{ instance, device, deleteOnTermination, attachedAtMs },
    ...fresh,
  })
}

/**
 * What its SC says: who can log in now. `isStopped` says of an instance that no guest is there who
 * would have to plug the volume: then it is attached. The same record when it is no news.
 */
export function afterGrants(
  volume: VolumeRecord,
  grants: readonly GrantWord[],
  isStopped: (instance: string) => boolean,
): VolumeRecord {
  const grantOf = (one: VolumeAttachmentRecord) =>
    grants.find((grant) => grant.attachment === one.id && grant.generation === one.generation)
  const kept = volume.attachments.filter((one) => one.state !== 'released' || grantOf(one))
  const next = kept.map((one): VolumeAttachmentRecord => {
    const grant = grantOf(one)
    if (one.state === 'released' || one.granted || grant === undefined) return one
    const isThere = one.state === 'attaching' && isStopped(one.instance)
    const { hasTarget, ...rest } = one
    return {
      ...rest,
      // An older SC has it at the volume's. Its guest goes there, so there it stays.
      ...(hasTarget === true && grant.ownTarget === true && { hasTarget }),
      ...{ granted: true, state: isThere ? 'attached' : one.state },
    }
  })
  return withAttachments(volume, next)
}

/** What the host of an instance says. The same record when it is no news. */
export function afterInstance(volume: VolumeRecord, word: InstanceWord): VolumeRecord {
  if (word.guest === 'gone') return withReleased(volume, word.instance)
  return eachAttachment(volume, (one) => {
    const isMeant = one.instance === word.instance && one.host === word.host
    return isMeant ? afterWord(one, word) : one
  })
}

function afterWord(
  one: VolumeAttachmentRecord,
  { guest, plugged }: InstanceWord,
): VolumeAttachmentRecord {
  const plug = plugged.find(
    ({ attachment, generation }) => attachment === one.id && generation === one.generation,
  )
  if (one.state === 'released' || guest === 'unknown') return one
  if (guest === 'starts') return plug === undefined ? one : withTrouble(one, plug.trouble)
  if (one.state === 'detaching') {
    const isOut = guest === 'stopped' || plug === undefined
    return isOut ? { ...one, state: 'released' } : withTrouble(one, plug.trouble)
  }
  if (!one.granted) return one
  if (guest === 'stopped') return withTrouble({ ...one, state: 'attached' }, '', one)
  if (plug === undefined) return one
  const state = plug.trouble === '' ? 'attached' : one.state
  return withTrouble({ ...one, state }, plug.trouble, one)
}

/** The attachment with that trouble; `same` when nothing of it is new. */
function withTrouble(
  one: VolumeAttachmentRecord,
  trouble: string,
  same = one,
): VolumeAttachmentRecord {
  if (one.state === same.state && trouble === (same.trouble ?? '')) return same
  const { trouble: _, ...rest } = one
  return trouble === '' ? rest : { ...rest, trouble }
}

function eachAttachment(
  volume: VolumeRecord,
  change: (one: VolumeAttachmentRecord) => VolumeAttachmentRecord,
): VolumeRecord {
  return withAttachments(volume, volume.attachments.map(change))
}

function withAttachments(
  volume: VolumeRecord,
  attachments: readonly VolumeAttachmentRecord[],
): VolumeRecord {
  const isSame =
    attachments.length === volume.attachments.length &&
    attachments.every((one, i) => one === volume.attachments[i])
  if (isSame) return volume
  const instances = [...new Set(attachments.map(({ instance }) => instance))]
  return { ...volume, attachments, instances }
}
