// What hosts that are only records say of themselves.

import type { VolumeStoreReport } from '../../../gateway/store/disk-records.ts'
import type { HostReport } from '../../../gateway/store/records.ts'

export function hostReport(vcpus: number): HostReport {
  return {
    agentVersion: '0.1.0',
    vcpus,
    memoryMib: vcpus * 4_096,
    diskGib: vcpus * 100,
    accelerator: 'tcg',
    ovsDatapath: 'userspace',
    wireguard: 'userspace',
    wireguardPublicKey: '',
    wireguardEndpoints: [],
    connected: true,
    draining: false,
    trouble: '',
  }
}

/** A store of 1 TiB that is empty. */
export function volumeStore(host: string): VolumeStoreReport {
  return {
    portal: `[fd12:3456:789a::${host.charCodeAt(0)}]:3260`,
    backend: 'files',
    sizeBytes: 2 ** 40,
    roomBytes: 2 ** 40,
    snapshots: true,
    encrypts: true,
  }
}
