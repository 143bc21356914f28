// The logs of daemons that outlive us: each has its file open for its whole life, and appends.

import { stat, truncate } from 'node:fs/promises'
import { isThere } from '../../common/durable-file.ts'

const MAX_BYTES = 1 << 20

/** Empties a log when that is long: nobody would turn it for the daemon. */
export async function emptyLongLog(file: string): Promise<void> {
  if (!(await isThere(file))) return
  const { size } = await stat(file)
  if (size > MAX_BYTES) await truncate(file)
}
