// Targets of events: how operators say them, how users name them by ARN, and how they are opened.

import { MalleeError } from '../../../common/errors.ts'
import type { Sealer } from '../../secrets.ts'
import type { EventTargetRecord } from '../../store/event-records.ts'
import { parseRedisUrl, type RedisAddress } from '../../store/redis-link.ts'
import type { View } from '../../store/state.ts'

export type EventTarget = WebhookTarget | StreamTarget

interface WebhookTarget {
  readonly kind: 'webhook'
  readonly name: string
  readonly url: string
  /** Null: messages are not signed. */
  readonly secret: string | null
}

interface StreamTarget {
  readonly kind: 'stream'
  readonly name: string
  readonly address: RedisAddress
  readonly stream: string
  /** About how many entries it keeps; 0 for all. */
  readonly maxLength: number
}

export interface NewTarget {
  readonly name: string
  readonly kind: EventTargetRecord['kind']
  readonly url: string
  readonly account: string
  /** '' without one. */
  readonly secret: string
  readonly maxLength: number
}

/** Service in an ARN by kind of target: Amazon's nearest to it. */
const SERVICES = { webhook: 'sns', stream: 'sqs' } as const
const NAME = /^[\w-]{1,63}$/
const MAX_URL = 2_048
const MAX_STREAM_BYTES = 512
const ARN = /^arn:aws:(sns|sqs):([^:]*):([^:]*):([\w-]{1,63})$/

export function targetArn(
  { name, kind }: Pick<EventTargetRecord, 'name' | 'kind'>,
  { region, account }: { readonly region: string; readonly account: string },
): string {
  return `arn:aws:${SERVICES[kind]}:${region}:${account}:${name}`
}

/** Null: the account has no such target. */
export function targetOfArn(
  view: View,
  arn: string,
  { region, account }: { readonly region: string; readonly account: string },
): EventTargetRecord | null {
  const [, , , , name] = ARN.exec(arn) ?? []
  const found = name === undefined ? null : view.get('event-target', name)
  if (found === null || (found.account !== '' && found.account !== account)) return null
  return targetArn(found, { region, account }) === arn ? found : null
}

/** Throws BadArgument that says what is wrong. */
export function newTarget(
  sealer: Sealer,
  { secret, ...given }: NewTarget,
  nowMs: number,
): EventTargetRecord {
  if (!NAME.test(given.name)) {
    throw bad(`the name ${JSON.stringify(given.name)}`, '1 to 63 letters, digits, - and _')
  }
  const { url, kind } = given
  const parsed = URL.canParse(url) && url.length <= MAX_URL ? new URL(url) : null
  // The text may hold a password, so that it is not said again.
  if (parsed === null) throw bad('the URL', 'a URL')
  if (parsed.password !== '') throw bad('the URL with a password', 'one: give a secret file')
  if (kind === 'webhook') checkWebhook(parsed)
  else streamOf(parsed)
  const sealed = secret !== '' && { sealedSecret: sealer.seal(secret, contextOf(given.name)) }
  return { ...given, ...sealed, createdAtMs: nowMs }
}

/** Throws BadMessage when its secret was sealed by another cloud. */
export function openTarget(sealer: Sealer, record: EventTargetRecord): EventTarget {
  const { name, url, sealedSecret, maxLength } = record
  const secret = sealedSecret === undefined ? null : sealer.open(sealedSecret, contextOf(name))
  if (record.kind === 'webhook') return { kind: 'webhook', name, url, secret }
  const { address, stream } = streamOf(new URL(url))
  return { kind: 'stream', name, address: { ...address, password: secret }, stream, maxLength }
}

function checkWebhook(url: URL): void {
  if (!/^https?:$/.test(url.protocol)) throw bad(url.href, 'an http: or https: URL')
  if (url.username !== '') throw bad('the URL with a user', 'one of a webhook, which has none')
}

/** The stream is the last part of the path, a number of a database may be before it. */
function streamOf(url: URL): { readonly address: RedisAddress; readonly stream: string } {
  const [, db = '', name = ''] = /^(?:\/(\d+))?\/([^/]+)$/.exec(url.pathname) ?? []
  const stream = decodeURIComponent(name)
  const fits = /^rediss?:$/.test(url.protocol) && url.hostname !== '' && stream !== ''
  if (!fits || url.search !== '' || Buffer.byteLength(stream) > MAX_STREAM_BYTES) {
    throw bad(url.href, 'redis://[user@]host[:port][/db]/stream, or rediss:')
  }
  const server = new URL(url)
  server.pathname = `/${db}`
  return { address: parseRedisUrl(server.href), stream }
}

function bad(what: string, wanted: string): MalleeError {
  return new MalleeError('BadArgument', `${what} is not ${wanted}`)
}

function contextOf(name: string): string {
  return `event-target/${name}`
}
