// The cloud's own record, for transactions.

import { MalleeError } from '../../common/errors.ts'
import type { CloudRecord } from '../store/records.ts'
import type { Transaction } from '../store/state.ts'

export async function cloudOf(tx: Transaction): Promise<CloudRecord> {
  const cloud = await tx.get('cloud', 'self')
  if (cloud === null) throw new MalleeError('NotFound', 'there is no cloud yet')
  return cloud
}
