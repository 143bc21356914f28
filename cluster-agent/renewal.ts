// Keeps the certificate of this host from ending: asks the parent for a fresher one in the last
// third of its life. Whoever dials or serves afterwards uses that one; nothing restarts.

import { endsWithCa, isDue } from '../common/certificate-life.ts'
import type { Clock } from '../common/clock.ts'
import { type Code, codeOf, MalleeError, messageOf } from '../common/errors.ts'
import type { Log } from '../common/log.ts'
import {
  caDigest,
  certificateRequest,
  checkCertificate,
  identityOfCertificate,
  notAfterMs,
} from '../common/pki.ts'
import { Loop } from '../common/reconcile.ts'
import type { RenewResponse } from '../proto/gen/mallee/v1/membership_pb.js'
import { askRenewal } from '../proto/member.ts'
import { clientCredentials, type TlsIdentity } from '../proto/tls.ts'
import type { AgentConfig } from './config.ts'
import type { HeldIdentity } from './identity.ts'
import { isParentOf } from './parent.ts'

const CHECK_EVERY_MS = 6 * 3_600_000
const RETRY_MS = { first: 30_000, last: 3_600_000 }
/** With less left than this, an operator has to know. */
const WARN_BEFORE_MS = 7 * 86_400_000
/** Refusals that no later try changes. */
const OUT: readonly Code[] = ['HostNotFound', 'NotAllowed', 'CaMismatch']
const REJOIN = 'leave with rack-join leave, then join with a new token'

export interface RenewalParts {
  readonly config: AgentConfig
  readonly identity: HeldIdentity
  /** Called when there is another certificate. */
  readonly renewed: () => void
  readonly clock: Clock
  /** From 0 up to 1; spreads the hosts of a rack that started together. */
  readonly chance: () => number
  readonly log: Log
}

/** Looks at once and then every six hours to seven and a half; after a failure sooner. */
export function startRenewal(parts: RenewalParts): {
  /** Null while there is time enough. */
  readonly trouble: () => string | null
  readonly stop: () => Promise<void>
} {
  const { identity, clock, chance, log } = parts
  const stop = new AbortController()
  const loop = new Loop({
    name: 'certificate',
    pass: () => renewIfDue(parts, stop.signal),
    everyMs: CHECK_EVERY_MS * (1 + chance() / 4),
    retryMs: RETRY_MS,
    clock,
    chance,
    log,
  })
  loop.start()
  return {
    trouble: () => renewalTrouble(identity.current(), loop.trouble(), clock.nowMs()),
    stop: async () => {
      stop.abort()
      await loop.stop()
    },
  }
}

/** What an operator is to know of a certificate after `failure`; null while there is time. */
export function renewalTrouble(
  identity: TlsIdentity,
  failure: string | null,
  nowMs: number,
): string | null {
  if (notAfterMs(identity.certificatePem) - nowMs >= WARN_BEFORE_MS) return null
  if (!endsWithCa(identity)) return failure
  return `the certificate ends on ${endOf(identity)} with the cloud's CA, and cannot be renewed`
}

async function renewIfDue(parts: RenewalParts, signal: AbortSignal): Promise<void> {
  const { config, identity, renewed, clock, log } = parts
  const current = identity.current()
  if (!isDue(current, clock.nowMs())) return
  try {
    const answer = await askRenewal(
      {
        endpoints: config.parents,
        credentials: () => clientCredentials(current, isParentOf(config)),
        clock,
        signal,
      },
      { host: config.host, certificateRequest: await certificateRequest(current.keyPem) },
    )
    checkRenewal(config, current, answer)
    await identity.keep(answer.certificatePem)
  } catch (cause) {
    const code = codeOf(cause) ?? 'Unavailable'
    const hasEnded = clock.nowMs() >= notAfterMs(current.certificatePem)
    const what = `the certificate ${hasEnded ? 'ended' : 'ends'} on ${endOf(current)}`
    const then = hasEnded || OUT.includes(code) ? REJOIN : retryAdvice(config)
    const sentence = `${what} and was not renewed: ${messageOf(cause)}; ${then}`
    throw new MalleeError(code, sentence, { cause })
  }
  log.info('certificate renewed', { until: endOf(identity.current()) })
  renewed()
}

/**
 * What is kept is all that lets this host in again: a certificate that does not fit is refused.
 * Throws CaMismatch or BadMessage.
 */
export function checkRenewal(
  { cloud, rack, host }: Pick<AgentConfig, 'cloud' | 'rack' | 'host'>,
  current: TlsIdentity,
  { certificatePem, caPem }: Pick<RenewResponse, 'certificatePem' | 'caPem'>,
): void {
  checkCertificate(certificatePem, current)
  if (caDigest(caPem) !== caDigest(current.caPem)) {
    throw new MalleeError('CaMismatch', `the parent names another CA, ${caDigest(caPem)}`)
  }
  const who = identityOfCertificate(certificatePem)
  const isMe = who.kind === 'host' && who.cloud === cloud && who.rack === rack && who.host === host
  if (!isMe) throw new MalleeError('BadMessage', 'the parent sent the certificate of somebody else')
}

function retryAdvice({ parents }: AgentConfig): string {
  const asked = parents.map(({ host, port }) => `${host} port ${port}`).join(', ')
  return `see whether ${asked} can be reached, it is tried again`
}

function endOf({ certificatePem }: TlsIdentity): string {
  return new Date(notAfterMs(certificatePem)).toISOString()
}
