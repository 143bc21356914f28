// The key that signs instances' identity documents: made once for a cloud, kept sealed.

import type { Clock } from '../common/clock.ts'
import { cmsSigner, createSigningKey } from '../common/cms.ts'
import type { IdentityProof, SignIdentity } from './control/desired-metadata.ts'
import type { Sealer } from './secrets.ts'
import type { State } from './store/state.ts'

const CONTEXT = 'identity-signer/self'
/** A signature costs a millisecond; a rack that comes back asks for all of its own again. */
const MAX_KEPT = 20_000
/** Users put the PEM lines around it themselves, and openssl wants lines in there. */
const LINE = /.{1,64}/g

/** Makes the key when the cloud has none; of several gateways that do so one wins. */
export async function openIdentitySigner({
  state,
  sealer,
  clock,
  cloud,
}: {
  state: State
  sealer: Sealer
  clock: Clock
  cloud: string
}): Promise<SignIdentity> {
  if (state.view().get('identity-signer', 'self') === null) {
    const { certificatePem, keyPem } = await createSigningKey(`${cloud} identity`, clock.nowMs())
    const made = { certificatePem, sealedKey: sealer.seal(keyPem, CONTEXT) }
    await state.update(async (tx) => {
      if ((await tx.get('identity-signer', 'self')) !== null) return
      await tx.put('identity-signer', ['self'], made)
    })
  }
  const record = (await state.fresh()).get('identity-signer', 'self')
  if (record === null) throw new RangeError('the identity signer was deleted')
  const keyPem = sealer.open(record.sealedKey, CONTEXT)
  return remembering(cmsSigner({ certificatePem: record.certificatePem, keyPem }))
}

/** The least recently made are forgotten first. */
function remembering(sign: ReturnType<typeof cmsSigner>): SignIdentity {
  const kept = new Map<string, IdentityProof>()
  return (document) => {
    const known = kept.get(document)
    if (known !== undefined) return known
    const { signature, signedData } = sign(document)
    const proof = { signature: base64Lines(signature), signedData: base64Lines(signedData) }
    kept.set(document, proof)
    if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value ?? '')
    return proof
  }
}

function base64Lines(bytes: Buffer): string {
  return (bytes.toString('base64').match(LINE) ?? []).join('\n')
}
