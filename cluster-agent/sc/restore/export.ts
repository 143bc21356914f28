// A volume that is still coming, for the daemon that shows it.

import { codeOf, messageOf } from '../../../common/errors.ts'
import type { NbdExport } from '../../images/nbd-server.ts'
import type { PartialVolume } from './partial-volume.ts'

export interface ExportOptions {
  /** As it is shown: it may grow behind that. */
  readonly sizeBytes: number
  /** Aborts when what waits now is to end with an error. */
  readonly patience: () => AbortSignal
  /** What a guest hears as an I/O error is told to who can mend it. */
  readonly told: (trouble: string) => void
}

export function volumeExport(
  volume: PartialVolume,
  { sizeBytes, patience, told }: ExportOptions,
): NbdExport {
  const either = (gone: AbortSignal): AbortSignal => AbortSignal.any([gone, patience()])
  return {
    sizeBytes,
    read: (offset, length, gone) => said(volume.read(offset, length, either(gone))),
    writer: {
      write: (offset, bytes, gone) => said(volume.write(offset, bytes, either(gone))),
      zero: (offset, length, gone) => said(volume.zero(offset, length, either(gone))),
      flush: () => said(volume.flush()),
    },
  }

  async function said<T>(done: Promise<T>): Promise<T> {
    try {
      return await done
    } catch (error) {
      if (codeOf(error) !== 'Unavailable') told(messageOf(error))
      throw error
    }
  }
}
