// The key that bundles are encrypted for: made when it is first asked for, kept sealed. Users get
// its certificate.

import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Clock } from '../../common/clock.ts'
import { createSigningKey } from '../../common/cms.ts'
import type { Sealer } from '../secrets.ts'
import type { BundleKeyRecord } from '../store/image-records.ts'
import type { State } from '../store/state.ts'

const CONTEXT = 'bundle-key/self'

export interface BundleKeyParts {
  readonly state: State
  readonly sealer: Sealer
  readonly clock: Clock
}

/** PEM. Of several gateways that make the key at once one wins. */
export async function bundleCertificate(parts: BundleKeyParts): Promise<string> {
  return (await keyRecord(parts)).certificatePem
}

export async function bundlePrivateKey(parts: BundleKeyParts): Promise<KeyObject> {
  const { sealedKey } = await keyRecord(parts)
  return createPrivateKey(parts.sealer.open(sealedKey, CONTEXT))
}

async function keyRecord({ state, sealer, clock }: BundleKeyParts): Promise<BundleKeyRecord> {
  const view = await state.fresh()
  const known = view.get('bundle-key', 'self')
  if (known !== null) return known
  const name = view.get('cloud', 'self')?.name ?? ''
  const { certificatePem, keyPem } = await createSigningKey(`${name} bundles`, clock.nowMs())
  const made = { certificatePem, sealedKey: sealer.seal(keyPem, CONTEXT) }
  return await state.update(async (tx) => {
    const other = await tx.get('bundle-key', 'self')
    if (other === null) await tx.put('bundle-key', ['self'], made)
    return other ?? made
  })
}
