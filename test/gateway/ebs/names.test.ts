// Names of volumes on the wire, and their secrets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseWantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { storedBytes } from '../../../common/volume-sizes.ts'
import {
  attachmentTargetIqn,
  initiatorIqn,
  newAttachmentNames,
  newVolumeKey,
  serialOf,
  targetIqn,
  volumeSecrets,
} from '../../../gateway/ebs/names.ts'

const sealer = {
  seal: (plain: string, context: string) => `${context}|${plain}`,
  open: (sealed: string, context: string) => {
    const [of, plain = ''] = sealed.split('|')
    if (of !== context) throw new Error(`${of} is not ${context}`)
    return plain
  },
}
const VOLUME = 'vol-0123456789abcdef0'
const randomHex = (bytes: number) => 'a5'.repeat(bytes)

test('names of a volume and its attachments are such as an SC takes', () => {
  const names = newAttachmentNames(sealer, randomHex)
  const { openChap } = volumeSecrets(sealer)
  const grant = {
    ...{ attachment: names.id, generation: 1, initiatorIqn: initiatorIqn(names.id) },
    ...{ chapUser: names.chapUser, chapSecret: openChap(names) },
    targetIqn: attachmentTargetIqn(VOLUME, { generation: 1, hasTarget: true }),
  }
  const wanted = parseWantedVolume({
    ...{ id: VOLUME, sizeBytes: storedBytes(1, true), targetIqn: targetIqn(VOLUME) },
    ...{ multiAttach: false, grants: [grant], deleted: false, source: null },
  })
  assert.equal(wanted.ok, true)
  assert.match(grant.chapSecret, /^[0-9a-f]{32}$/)
  assert.equal(serialOf(VOLUME).length, 20)
})

test('each attachment has a target of its own, and those of older versions have the volume’s', () => {
  const of = (generation: number) => attachmentTargetIqn(VOLUME, { generation, hasTarget: true })
  assert.equal(new Set([of(1), of(2), targetIqn(VOLUME)]).size, 3)
  assert.equal(attachmentTargetIqn(VOLUME, { generation: 2 }), targetIqn(VOLUME))
})

test('volumeSecrets opens what was sealed for that volume or attachment alone', () => {
  const { openChap, openVolumeKey } = volumeSecrets(sealer)
  const sealedKey = newVolumeKey(sealer, randomHex, VOLUME)
  assert.equal(openVolumeKey({ id: VOLUME, sealedKey }), 'a5'.repeat(32))
  assert.equal(openVolumeKey({ id: VOLUME }), '')
  assert.throws(() => openVolumeKey({ id: 'vol-1', sealedKey }))
  const { sealedChapSecret } = newAttachmentNames(sealer, randomHex)
  assert.throws(() => openChap({ id: 'att-1', sealedChapSecret }))
})
