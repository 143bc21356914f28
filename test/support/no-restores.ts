// A host on which no volume begins as a snapshot.

import type { VolumeRestores } from '../../cluster-agent/sc/volumes/reconcile.ts'

export const NO_RESTORES: VolumeRestores = {
  file: (id) => `/nowhere/${id}`,
  look: async () => null,
  begin: none,
  show: none,
  interrupt: () => undefined,
  end: none,
  status: () => ({ missingBytes: 0, trouble: null }),
}

function none(): Promise<void> {
  return Promise.reject(new Error('no volume begins as a snapshot here'))
}
