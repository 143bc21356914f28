// What a bucket is as a website: its index and error documents and its redirects (S3 API reference,
// "PutBucketWebsite"). Serving it is website/.

import type { BucketRecord, WebsiteRecord, WebsiteRule } from '../../store/bucket-records.ts'
import type { State } from '../../store/state.ts'
import type { S3Handlers, S3Inputs } from '../wire/call.ts'
import { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { malformed } from '../wire/xml.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'
import { checkBucketName, noSuchBucket } from './names.ts'

/** Throws NoSuchBucket, InvalidBucketName, NoSuchWebsiteConfiguration. */
export type SiteOf = (bucket: string) => Promise<WebsiteRecord>

type Asked = NonNullable<S3Inputs['PutBucketWebsite']['WebsiteConfiguration']>
type AskedRule = NonNullable<Asked['RoutingRules']>[number]

const MAX_RULES = 50
const MAX_BYTES = 128 << 10
const MAX_TEXT = 1_024
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 304, 305, 307, 308])

export function websiteHandlers(parts: BucketParts): S3Handlers {
  return {
    async PutBucketWebsite(call) {
      const website = checkWebsite(call.input.WebsiteConfiguration ?? {})
      await changeBucket(parts, call, (bucket) => ({ ...bucket, website }))
      return { output: {} }
    },

    async GetBucketWebsite(call) {
      return { output: shownWebsite(websiteIn(bucketOf(call))) }
    },

    async DeleteBucketWebsite(call) {
      await changeBucket(parts, call, ({ website: _, ...bucket }) => bucket)
      return { output: {} }
    },
  }
}

export function createSiteOf(state: Pick<State, 'view' | 'fresh'>): SiteOf {
  return async (name) => {
    checkBucketName(name, false)
    const known = state.view().get('bucket', name) ?? (await state.fresh()).get('bucket', name)
    if (known === null) throw noSuchBucket(name)
    return websiteIn(known)
  }
}

function websiteIn({ name, website }: BucketRecord): WebsiteRecord {
  if (website !== undefined) return website
  const message = 'The specified bucket does not have a website configuration'
  throw new S3Error('NoSuchWebsiteConfiguration', message, 404, { BucketName: name })
}

/** Throws MalformedXML, InvalidArgument, InvalidRequest. */
function checkWebsite(asked: Asked): WebsiteRecord {
  const { RedirectAllRequestsTo: all, IndexDocument, ErrorDocument, RoutingRules } = asked
  if (all !== undefined) {
    if ((IndexDocument ?? ErrorDocument ?? RoutingRules) !== undefined) {
      const message =
        'RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.'
      throw invalidArgument('RedirectAllRequestsTo', 'not null', message)
    }
    if (!isText(all.HostName)) {
      throw invalid('A host name must be provided to redirect all requests (e.g. "example.com").')
    }
    const { Protocol: protocol } = all
    return { redirectAll: { host: all.HostName, ...(protocol !== undefined && { protocol }) } }
  }
  if (IndexDocument === undefined) {
    const message =
      'A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty'
    throw invalidArgument('IndexDocument', 'null', message)
  }
  const { Suffix: suffix = '' } = IndexDocument
  if (!isText(suffix) || suffix.includes('/')) {
    throw invalidArgument('IndexDocument', suffix, 'The IndexDocument Suffix is not well formed')
  }
  const errorKey = ErrorDocument?.Key
  if (ErrorDocument !== undefined && !isText(errorKey)) {
    throw invalidArgument(
      'ErrorDocument',
      errorKey ?? '',
      'The ErrorDocument Key is not well formed',
    )
  }
  const website = {
    indexSuffix: suffix,
    ...(errorKey !== undefined && { errorKey }),
    ...(RoutingRules !== undefined && { rules: checkRules(RoutingRules) }),
  }
  if (JSON.stringify(website).length <= MAX_BYTES) return website
  throw new S3Error('MaxMessageLengthExceeded', 'Your request was too big.', 400)
}

function checkRules(rules: readonly AskedRule[]): WebsiteRule[] {
  if (rules.length === 0) throw malformed()
  if (rules.length > MAX_RULES) {
    throw invalid(
      `${rules.length} routing rules provided, the number of routing rules in a website configuration is limited to ${MAX_RULES}.`,
    )
  }
  return rules.map(({ Condition, Redirect = {} }) => {
    const { KeyPrefixEquals: prefix, HttpErrorCodeReturnedEquals: error } = Condition ?? {}
    const { HostName: host, Protocol: protocol, HttpRedirectCode: code } = Redirect
    const { ReplaceKeyWith: key, ReplaceKeyPrefixWith: keyPrefix } = Redirect
    if (Condition !== undefined && prefix === undefined && error === undefined) {
      throw invalid(
        "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.",
      )
    }
    if ([host, protocol, code, key, keyPrefix].every((each) => each === undefined))
      throw malformed()
    if (key !== undefined && keyPrefix !== undefined) {
      throw invalid('You can only define ReplaceKeyPrefix or ReplaceKey but not both.')
    }
    if (host !== undefined && !isText(host)) {
      throw invalid(
        'The HostName cannot be blank. To redirect within the same domain, the element should not be present.',
      )
    }
    const long = [prefix, key, keyPrefix].find((each) => (each?.length ?? 0) > MAX_TEXT)
    if (long !== undefined) throw invalid(`A key in a rule has at most ${MAX_TEXT} characters.`)
    const status = code === undefined ? undefined : redirectCode(code)
    const errorStatus = error === undefined ? undefined : errorCode(error)
    return {
      ...(prefix !== undefined && { prefix }),
      ...(errorStatus !== undefined && { errorStatus }),
      ...(host !== undefined && { host }),
      ...(protocol !== undefined && { protocol }),
      ...(status !== undefined && { status }),
      ...(key !== undefined && { key }),
      ...(keyPrefix !== undefined && { keyPrefix }),
    }
  })
}

function redirectCode(text: string): number {
  if (REDIRECTS.has(Number(text))) return Number(text)
  const what = `The provided HTTP redirect code (${text.slice(0, 20)}) is not valid.`
  throw invalid(`${what} Valid codes are 3XX except 300.`)
}

function errorCode(text: string): number {
  if (/^[45]\d\d$/.test(text)) return Number(text)
  const what = `The provided HTTP error code (${text.slice(0, 20)}) is not valid.`
  throw invalid(`${what} Valid codes are 4XX or 5XX.`)
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text.trim() !== '' && text.length <= MAX_TEXT
}

function shownWebsite({ redirectAll, indexSuffix, errorKey, rules }: WebsiteRecord) {
  return {
    ...(redirectAll !== undefined && {
      RedirectAllRequestsTo: { HostName: redirectAll.host, ...protocolOf(redirectAll) },
    }),
    ...(indexSuffix !== undefined && { IndexDocument: { Suffix: indexSuffix } }),
    ...(errorKey !== undefined && { ErrorDocument: { Key: errorKey } }),
    ...(rules !== undefined && { RoutingRules: rules.map(shownRule) }),
  }
}

function shownRule(rule: WebsiteRule) {
  const { prefix, errorStatus, host, status, key, keyPrefix } = rule
  const hasCondition = prefix !== undefined || errorStatus !== undefined
  return {
    ...(hasCondition && {
      Condition: {
        ...(errorStatus !== undefined && { HttpErrorCodeReturnedEquals: String(errorStatus) }),
        ...(prefix !== undefined && { KeyPrefixEquals: prefix }),
      },
    }),
    Redirect: {
      ...(host !== undefined && { HostName: host }),
      ...(status !== undefined && { HttpRedirectCode: String(status) }),
      ...protocolOf(rule),
      ...(keyPrefix !== undefined && { ReplaceKeyPrefixWith: keyPrefix }),
      ...(key !== undefined && { ReplaceKeyWith: key }),
    },
  }
}

function protocolOf({ protocol }: Pick<WebsiteRule, 'protocol'>) {
  return protocol === undefined ? {} : { Protocol: protocol }
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', message, 400)
}
