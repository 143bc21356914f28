// Private keys as PuTTY reads them: its file format 2, not encrypted, which old ones read as well
// as new ones (PuTTY manual, appendix C).

import { createHash, createHmac } from 'node:crypto'
import { pack } from './ssh-wire.ts'

export interface PpkKey {
  /** `ssh-rsa`, `ssh-ed25519`. */
  readonly algorithm: string
  readonly comment: string
  /** As the key is on the wire. */
  readonly publicBlob: Buffer
  readonly privateBlob: Buffer
}

const COLUMNS = 64
const ENCRYPTION = 'none'

export function ppkFile({ algorithm, comment, publicBlob, privateBlob }: PpkKey): string {
  const texts = [algorithm, ENCRYPTION, comment].map((text) => Buffer.from(text))
  const macKey = createHash('sha1').update('putty-private-key-file-mac-key').digest()
  const mac = createHmac('sha1', macKey).update(pack(...texts, publicBlob, privateBlob))
  return [
    `PuTTY-User-Key-File-2: ${algorithm}`,
    `Encryption: ${ENCRYPTION}`,
    `Comment: ${comment}`,
    ...counted('Public-Lines', publicBlob),
    ...counted('Private-Lines', privateBlob),
    `Private-MAC: ${mac.digest('hex')}`,
    '',
  ].join('\n')
}

function counted(name: string, blob: Buffer): string[] {
  const lines = blob.toString('base64').match(new RegExp(`.{1,${COLUMNS}}`, 'g')) ?? []
  return [`${name}: ${lines.length}`, ...lines]
}
