// Ceph's RADOS gateway over one disk and one copy, on this machine: what clouds grow into.

import { startCeph } from '../../test/support/ceph.ts'
import type { S3Server } from '../s3-servers.ts'
import { signedServer } from '../s3-servers.ts'

/** Null where Ceph (Debian: ceph-mon, ceph-osd, radosgw, ceph-common) is not installed. */
export async function startRgw(): Promise<
  (S3Server & { readonly stop: () => Promise<void> }) | null
> {
  const ceph = await startCeph().catch((error: Error) => {
    if (/ENOENT/.test(error.message)) return null
    throw error
  })
  if (ceph === null) return null
  const { accessKeyId, secretAccessKey: secret } = await ceph.makeUser('bench')
  const target = { port: ceph.port, accessKeyId, secret, region: 'default' }
  return { ...signedServer('Ceph RGW', target), stop: ceph.stop }
}
