// A fresher certificate for a host that is a member. Nothing is written: whoever was taken out of
// the store gets none, and so is out for good when the last one ends.

import { create } from '@bufbuild/protobuf'
import { MalleeError } from '../../common/errors.ts'
import type { Identity } from '../../common/identity.ts'
import { checkRequest, keyFingerprint } from '../../common/pki.ts'
import {
  type RenewRequest,
  type RenewResponse,
  RenewResponseSchema,
} from '../../proto/gen/mallee/v1/membership_pb.js'
import type { HostRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { signHost } from './host-certificate.ts'
import type { MembershipParts } from './membership.ts'

/**
 * For the host itself, or for a node whose CC asks. Throws HostNotFound for who is no member (any
 * more), NotAllowed for another host or another key, BadMessage for a request that proves nothing.
 */
export async function renewHost(
  { state, ca, clock, log }: MembershipParts,
  caller: Identity,
  { host, certificateRequest }: RenewRequest,
): Promise<RenewResponse> {
  const view = await state.fresh()
  const record = mayRenew(view, caller, host)
  await checkRequest(certificateRequest)
  // A CC sees its nodes' requests: with a key of its own it must not become one of them.
  if (keyFingerprint(certificateRequest) !== record.keyFingerprint) {
    throw new MalleeError(
      'NotAllowed',
      `the request is for another key than the one that host ${host} joined with`,
    )
  }
  const cloud = view.get('cloud', 'self')?.name ?? ''
  const signed = await signHost(ca, cloud, record, certificateRequest, clock.nowMs())
  const { rack } = record
  log.info('certificate renewed', { rack, host, serial: signed.serial })
  const { certificatePem } = signed
  return create(RenewResponseSchema, { certificatePem, caPem: ca.certificatePem })
}

/** The host's record, if the caller is it or its CC. */
function mayRenew(view: View, caller: Identity, host: string): HostRecord {
  if (caller.kind !== 'host' || caller.cloud !== view.get('cloud', 'self')?.name) {
    throw new MalleeError('NotAllowed', 'only a host of this cloud can ask for a certificate')
  }
  // The caller's certificate outlives its membership: the store decides, not the certificate.
  const own = memberOf(view, caller.rack, caller.host)
  if (caller.host === host) return own
  if (!own.roles.includes('cc')) {
    throw new MalleeError('NotAllowed', `only ${host} or its CC can ask for its certificate`)
  }
  return memberOf(view, caller.rack, host)
}

function memberOf(view: View, rack: string, host: string): HostRecord {
  const record = view.get('host', rack, host)
  if (record === null) {
    throw new MalleeError('HostNotFound', `host ${host} of rack ${rack} is not in this cloud`)
  }
  return record
}
