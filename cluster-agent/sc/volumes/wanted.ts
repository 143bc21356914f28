// What is wanted of a volume, and the door through which it comes.

import { LUKS_HEADER_BYTES } from '../../../common/volume-sizes.ts'
import { no, ok, type Result } from '../../../topology/result.ts'
import {
  parseSnapshotId,
  parseVolumeId,
  SIZE_UNIT_BYTES,
  type SnapshotId,
  type VolumeId,
} from './backend.ts'

/** A complete snapshot. */
export interface SnapshotSource {
  readonly snapshot: SnapshotId
  /** Lower-case hex SHA-256. */
  readonly manifest: string
  readonly sizeBytes: number
  /** It is not encrypted, and the volume is: its blocks are encrypted as they come. */
  readonly isPlain?: true
}

export interface WantedVolume {
  readonly id: VolumeId
  readonly sizeBytes: number
  /** Ends with `:` and the volume's id. */
  readonly targetIqn: string
  /** May several attachments write at a time? */
  readonly multiAttach: boolean
  /** Who may log in. A volume without multiAttach has one writer: the newest of these. */
  readonly grants: readonly Grant[]
  /** Of its LUKS header: 64 hex digits, secret; absent when it is not encrypted. */
  readonly encryptionKey?: string
  /** The one thing that deletes: a volume that is not mentioned is left alone. */
  readonly deleted: boolean
  /** What it begins as; null for zeroes. */
  readonly source: SnapshotSource | null
}

/** An attachment's right to log in to the volume's target. */
export interface Grant {
  readonly attachment: string
  /** From 1; grows with every attachment of the volume. */
  readonly generation: number
  readonly initiatorIqn: string
  /** Of this attachment alone, in all of the rack. */
  readonly chapUser: string
  /** A secret: compare it, never print it. */
  readonly chapSecret: string
  /** Its own, which ends with `:` and the volume's id too; absent for that of the volume. */
  readonly targetIqn?: string
}

type Fields = Omit<WantedVolume, 'id' | 'source'> & {
  readonly id: string
  readonly source: (Omit<SnapshotSource, 'snapshot'> & { readonly snapshot: string }) | null
}

/** EBS's largest volume (io2 Block Express). */
const MAX_BYTES = 64 * 2 ** 40
/** Of a volume: EC2 attaches an io2 volume to at most 16 instances. */
const MAX_GRANTS = 16
const ATTACHMENT = /^[A-Za-z0-9-]{1,64}$/
/** RFC 3720, section 3.2.6.3.1, in the letters that tgtd takes; at most 223 bytes. */
const IQN = /^iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:[a-z0-9.:-]+)?$/
const MAX_IQN_CHARS = 223
const SHA256 = /^[0-9a-f]{64}$/
const CHAP_USER = /^[A-Za-z0-9-]{1,64}$/
const ENCRYPTION_KEY = /^[0-9a-f]{64}$/
/** RFC 3720, section 8.2.1, asks for 96 bits at least. */
const CHAP_SECRET = /^[A-Za-z0-9+/=_-]{16,128}$/

/** Says what is wrong in words that hold no secret. */
export function parseWantedVolume(fields: Fields): Result<WantedVolume> {
  const { id: text, sizeBytes, targetIqn, grants } = fields
  const id = parseVolumeId(text)
  if (!id.ok) return no(`${text} is no volume id`)
  if (!isSize(sizeBytes)) return no(`${text} is to have ${sizeBytes} bytes`)
  for (const iqn of [targetIqn, ...grants.map((one) => one.targetIqn ?? targetIqn)]) {
    if (!isIqn(iqn) || !iqn.endsWith(`:${text}`)) return no(`${text} has the target name ${iqn}`)
  }
  if (fields.encryptionKey !== undefined && !ENCRYPTION_KEY.test(fields.encryptionKey)) {
    return no(`${text} has a key of the wrong form`)
  }
  if (grants.length > MAX_GRANTS) {
    return no(`${text} has ${grants.length} grants; the most is ${MAX_GRANTS}`)
  }
  for (const grant of grants) {
    const wrong = wrongIn(grant)
    if (wrong !== null) return no(`${text} is granted to an attachment with ${wrong}`)
  }
  for (const field of ['attachment', 'generation', 'chapUser'] as const) {
    if (new Set(grants.map((grant) => grant[field])).size < grants.length) {
      return no(`${text} has two grants with the same ${field}`)
    }
  }
  const source = sourceOf(fields)
  return source.ok ? ok({ ...fields, id: id.value, source: source.value }) : source
}

function sourceOf({ id, sizeBytes, source, encryptionKey }: Fields): Result<SnapshotSource | null> {
  if (source === null) return ok(null)
  const snapshot = parseSnapshotId(source.snapshot)
  if (!snapshot.ok) return no(`${id} is to begin as ${source.snapshot}`)
  if (!SHA256.test(source.manifest)) return no(`${id} has the manifest ${source.manifest}`)
  const header = source.isPlain === true ? LUKS_HEADER_BYTES : 0
  if (!isSize(source.sizeBytes) || source.sizeBytes + header > sizeBytes) {
    return no(`${id} of ${sizeBytes} bytes is to begin as ${source.sizeBytes} bytes`)
  }
  if (header > 0 && encryptionKey === undefined) return no(`${id} is to be encrypted by no key`)
  return ok({ ...source, snapshot: snapshot.value })
}

function wrongIn(grant: Grant): string | null {
  const { attachment, generation, initiatorIqn, chapUser, chapSecret } = grant
  if (!ATTACHMENT.test(attachment)) return `the id ${attachment}`
  if (!Number.isSafeInteger(generation) || generation < 1) return `the generation ${generation}`
  if (!isIqn(initiatorIqn)) return `the initiator name ${initiatorIqn}`
  if (!CHAP_USER.test(chapUser)) return `the CHAP user ${chapUser}`
  return CHAP_SECRET.test(chapSecret) ? null : 'a CHAP secret of the wrong form'
}

function isSize(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= SIZE_UNIT_BYTES && bytes <= MAX_BYTES
    ? bytes % SIZE_UNIT_BYTES === 0
    : false
}

function isIqn(text: string): boolean {
  return text.length <= MAX_IQN_CHARS && IQN.test(text)
}
