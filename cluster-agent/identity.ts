// Who this host is: its key, made here and never sent, the certificate that the cloud gave for it,
// and the cloud's CA.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeDurably } from '../common/durable-file.ts'
import { MalleeError } from '../common/errors.ts'
import { newKey } from '../common/pki.ts'
import type { TlsIdentity } from '../proto/tls.ts'
import { identityDir, type Paths } from './paths.ts'

/** The host's key; made at the first call, so that a join that is repeated is the same join. */
export async function ensureKey(paths: Paths): Promise<string> {
  const file = join(identityDir(paths), 'host.key')
  const kept = await readIfThere(file)
  if (kept !== null) return kept
  await makeFolder(paths)
  const { keyPem } = await newKey()
  await writeDurably(file, keyPem)
  return keyPem
}

export async function keepIdentity(
  paths: Paths,
  { certificatePem, caPem }: { certificatePem: string; caPem: string },
): Promise<void> {
  await makeFolder(paths)
  await writeDurably(join(identityDir(paths), 'ca.pem'), caPem)
  await writeDurably(join(identityDir(paths), 'host.pem'), certificatePem)
}

/** The identity of a running agent. Its certificate changes when it was renewed. */
export class HeldIdentity {
  readonly #paths: Paths
  #current: TlsIdentity

  constructor(paths: Paths, first: TlsIdentity) {
    this.#paths = paths
    this.#current = first
  }

  /** The newest; who dials or serves asks each time. */
  readonly current = (): TlsIdentity => this.#current

  /** Another certificate of the same CA for the same key: first on the disk, then in use. */
  async keep(certificatePem: string): Promise<void> {
    const next = { ...this.#current, certificatePem }
    await keepIdentity(this.#paths, next)
    this.#current = next
  }
}

/** Null before the host has joined. */
export async function readIdentity(paths: Paths): Promise<TlsIdentity | null> {
  const read = (name: string) => readIfThere(join(identityDir(paths), name))
  const [keyPem, certificatePem, caPem] = await Promise.all([
    read('host.key'),
    read('host.pem'),
    read('ca.pem'),
  ])
  if (keyPem === null || certificatePem === null || caPem === null) return null
  return { keyPem, certificatePem, caPem }
}

/** Throws BadConfig before the host has joined. */
export async function needIdentity(paths: Paths): Promise<TlsIdentity> {
  const identity = await readIdentity(paths)
  if (identity === null) {
    throw new MalleeError('BadConfig', `no certificate in ${identityDir(paths)}: run rack-join`)
  }
  return identity
}

async function makeFolder(paths: Paths): Promise<void> {
  await mkdir(identityDir(paths), { recursive: true, mode: 0o700 })
}
