// Whom a bucket tells of changes to its objects (S3 user guide, "Amazon S3 Event Notifications"):
// targets that operators made, by their ARNs.

import type { RandomHex } from '../../../common/clock.ts'
import type { BucketRecord, NotificationRule } from '../../store/bucket-records.ts'
import type { EventTargetRecord } from '../../store/event-records.ts'
import { testMessage } from '../events/message.ts'
import { EVENT_NAMES } from '../events/notes.ts'
import { targetOfArn } from '../events/targets.ts'
import type { S3Call, S3Handlers, S3Inputs } from '../wire/call.ts'
import type { S3Error } from '../wire/error.ts'
import { invalidArgument } from '../wire/values.ts'
import { type BucketParts, bucketOf, changeBucket } from './bucket.ts'

export interface NotificationParts extends BucketParts {
  readonly randomHex: RandomHex
  /** Sends one message at once. Throws when the target does not take it. */
  readonly tellTarget: (target: EventTargetRecord, message: string) => Promise<void>
}

type Put = S3Call<S3Inputs['PutBucketNotificationConfiguration']>

/** What a rule is before it is known where it leads. */
interface AskedRule {
  readonly Id?: string | undefined
  readonly Events?: readonly string[] | undefined
  readonly Filter?:
    | {
        readonly Key?: { readonly FilterRules?: readonly AskedFilter[] | undefined } | undefined
      }
    | undefined
}

interface AskedFilter {
  readonly Name?: string | undefined
  readonly Value?: string | undefined
}

/** As AWS has it, for one bucket. */
const MAX_RULES = 100
const MAX_ID = 255
const MAX_FILTER_BYTES = 1_024
const ID_BYTES = 16
const UNREACHED = 'Unable to validate the following destination configurations'
const PATTERNS: ReadonlySet<string> = new Set(
  EVENT_NAMES.flatMap((name) => [`s3:${name}`, `s3:${name.split(':')[0]}:*`]),
)

export function notificationHandlers(parts: NotificationParts): S3Handlers {
  return {
    async PutBucketNotificationConfiguration(call) {
      const rules = await checkRules(parts, call)
      if (call.input.SkipDestinationValidation !== true) await tellAll(parts, call, rules)
      await changeBucket(parts, call, ({ notifications: _, ...bucket }) => ({
        ...bucket,
        ...(rules.length > 0 && { notifications: rules }),
      }))
      return { output: {} }
    },

    async GetBucketNotificationConfiguration(call) {
      const rules = bucketOf(call).notifications ?? []
      const topics = rules.filter(({ arn }) => isTopic(arn))
      const queues = rules.filter(({ arn }) => !isTopic(arn))
      return {
        output: {
          ...(topics.length > 0 && {
            TopicConfigurations: topics.map((rule) => ({ ...shown(rule), TopicArn: rule.arn })),
          }),
          ...(queues.length > 0 && {
            QueueConfigurations: queues.map((rule) => ({ ...shown(rule), QueueArn: rule.arn })),
          }),
        },
      }
    },
  }
}

function isTopic(arn: string): boolean {
  return arn.startsWith('arn:aws:sns:')
}

/** Throws InvalidArgument in AWS' words. */
async function checkRules(parts: NotificationParts, call: Put): Promise<NotificationRule[]> {
  const {
    TopicConfigurations: topics = [],
    QueueConfigurations: queues = [],
    LambdaFunctionConfigurations: functions = [],
    EventBridgeConfiguration: bridge,
  } = call.input.NotificationConfiguration ?? {}
  const [first] = functions
  if (first !== undefined) {
    throw invalidArgument(first.LambdaFunctionArn ?? '', 'there are no functions here', UNREACHED)
  }
  if (bridge !== undefined) {
    throw invalidArgument('EventBridge', 'there is no EventBridge here', UNREACHED)
  }
  const named = [
    ...topics.map((rule) => ({ rule, arn: rule.TopicArn ?? '' })),
    ...queues.map((rule) => ({ rule, arn: rule.QueueArn ?? '' })),
  ]
  if (named.length > MAX_RULES) {
    const message = `A bucket has at most ${MAX_RULES} notification configurations.`
    throw invalidArgument('NotificationConfiguration', String(named.length), message)
  }
  const view = await parts.state.fresh()
  const { account } = bucketOf(call)
  const rules = named.map(({ rule, arn }) => {
    const target = targetOfArn(view, arn, { region: parts.region, account })
    if (target === null || isTopic(arn) !== topics.includes(rule as never)) {
      throw invalidArgument(arn, 'there is no such target for this account', UNREACHED)
    }
    return { ...checkRule(parts, rule), arn, target: target.name }
  })
  refuseOverlaps(rules)
  return rules
}

function checkRule({ randomHex }: NotificationParts, rule: AskedRule) {
  const { Id: id = randomHex(ID_BYTES), Events: events = [], Filter: filter } = rule
  if (id.length > MAX_ID) throw invalidArgument('Id', id, `An Id has at most ${MAX_ID} characters.`)
  const unknown = events.find((event) => !PATTERNS.has(event))
  if (unknown !== undefined || events.length === 0) {
    const message = 'A specified event is not supported for notifications.'
    throw invalidArgument('Event', unknown ?? '', message)
  }
  const found = { prefix: '', suffix: '' }
  const seen = new Set<string>()
  for (const { Name = '', Value = '' } of filter?.Key?.FilterRules ?? []) {
    const name = Name.toLowerCase()
    if (name !== 'prefix' && name !== 'suffix') {
      const message = 'filter rule name must be either prefix or suffix'
      throw invalidArgument('FilterRule.Name', Name, message)
    }
    if (seen.has(name)) {
      const message = `Cannot specify more than one ${name} rule in a filter.`
      throw invalidArgument('FilterRule.Name', Name, message)
    }
    if (Buffer.byteLength(Value) > MAX_FILTER_BYTES) {
      const message = `The value of a filter has at most ${MAX_FILTER_BYTES} bytes.`
      throw invalidArgument('FilterRule.Value', Value, message)
    }
    seen.add(name)
    found[name] = Value
  }
  return { id, events, ...found }
}

/** No event may be told by two rules. Throws InvalidArgument. */
function refuseOverlaps(rules: readonly NotificationRule[]): void {
  const ids = new Set(rules.map(({ id }) => id))
  if (ids.size < rules.length) {
    const message = 'Same ID used for multiple configurations. IDs must be unique'
    throw invalidArgument('Id', '', message)
  }
  for (const [at, one] of rules.entries()) {
    for (const other of rules.slice(at + 1)) {
      const shared = one.events.find((event) => other.events.some((its) => meet(event, its)))
      if (shared === undefined || !meetInKeys(one, other)) continue
      throw overlap(shared, [one, other])
    }
  }
}

function overlap(event: string, rules: readonly NotificationRule[]): S3Error {
  const isPlain = rules.every(({ prefix, suffix }) => prefix === '' && suffix === '')
  const message = isPlain
    ? 'Configurations overlap. Configurations on the same bucket cannot share a common event type.'
    : 'Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.'
  return invalidArgument('Event', event, message)
}

function meet(event: string, other: string): boolean {
  const [start, otherStart] = [event.replace(/\*$/, ''), other.replace(/\*$/, '')]
  if (event === other) return true
  return (
    (event !== start && other.startsWith(start)) ||
    (other !== otherStart && event.startsWith(otherStart))
  )
}

function meetInKeys(one: NotificationRule, other: NotificationRule): boolean {
  const isPrefix = one.prefix.startsWith(other.prefix) || other.prefix.startsWith(one.prefix)
  const isSuffix = one.suffix.endsWith(other.suffix) || other.suffix.endsWith(one.suffix)
  return isPrefix && isSuffix
}

/** Throws InvalidArgument when a target does not take a message. */
async function tellAll(
  { state, tellTarget }: NotificationParts,
  call: Put,
  rules: readonly NotificationRule[],
): Promise<void> {
  const { requestId, nowMs, log } = call
  const message = testMessage(bucketOf(call).name, requestId, nowMs)
  const view = state.view()
  const arns = new Map(rules.map(({ target, arn }) => [target, arn]))
  await Promise.all(
    [...arns].map(async ([name, arn]) => {
      const target = view.get('event-target', name)
      try {
        if (target !== null) await tellTarget(target, message)
      } catch (error) {
        log.warn('a target of events did not take the test', { target: name, error })
        // The operator's addresses are not for users to see.
        throw invalidArgument(arn, 'the target did not take a test message', UNREACHED)
      }
    }),
  )
}

function shown({ id, events, prefix, suffix }: NotificationRule) {
  const filters = [
    ...(prefix === '' ? [] : [{ Name: 'Prefix' as 'prefix', Value: prefix }]),
    ...(suffix === '' ? [] : [{ Name: 'Suffix' as 'suffix', Value: suffix }]),
  ]
  return {
    Id: id,
    Events: [...events] as never[],
    ...(filters.length > 0 && { Filter: { Key: { FilterRules: filters } } }),
  }
}

/** Buckets that send to a target. */
export function sendersTo(buckets: readonly BucketRecord[], target: string): readonly string[] {
  return buckets
    .filter(({ notifications = [] }) => notifications.some((rule) => rule.target === target))
    .map(({ name }) => name)
}
