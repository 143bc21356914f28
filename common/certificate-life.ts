// When a certificate is to be renewed: the same rule for gateways and hosts.

import { notAfterMs, notBeforeMs } from './pki.ts'

export interface Certified {
  readonly certificatePem: string
  readonly caPem: string
}

/** True in the last third of its life, unless it ends with its CA: then no other lasts longer. */
export function isDue(certified: Certified, nowMs: number): boolean {
  const { certificatePem } = certified
  const endMs = notAfterMs(certificatePem)
  return endMs - nowMs < (endMs - notBeforeMs(certificatePem)) / 3 && !endsWithCa(certified)
}

export function endsWithCa({ certificatePem, caPem }: Certified): boolean {
  return notAfterMs(certificatePem) >= notAfterMs(caPem)
}
