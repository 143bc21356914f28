// The audit log as the endpoint sees it: one call, told after its end and before its answer.

import type { Log } from '../../common/log.ts'
import type { Metrics } from '../metrics.ts'
import type { AuditFile } from './file.ts'
import { type AuditedCall, auditRecord, isAudited, type RecordParts } from './record.ts'

/** Never rejects: what was done is done, and its caller is told so. */
export type Audit = (call: AuditedCall) => Promise<void>

export function createAudit(
  parts: RecordParts & {
    readonly file: Pick<AuditFile, 'write'>
    readonly log: Log
    readonly metrics: Pick<Metrics, 'auditRecords'>
  },
): Audit {
  const { file, log, metrics } = parts
  return async (call) => {
    if (!isAudited(call.action)) return
    try {
      await file.write(auditRecord(parts, call))
    } catch (error) {
      metrics.auditRecords('lost', 1)
      log.error('audit record cannot be made', { requestId: call.requestId, error })
    }
  }
}
