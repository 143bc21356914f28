// ARNs of load balancers, listeners, rules and target groups: how they are made and read, and the
// records that they name.

import type { RandomHex } from '../../common/clock.ts'
import { MalleeError } from '../../common/errors.ts'
import type {
  ListenerRecord,
  LoadBalancerRecord,
  TargetGroupRecord,
} from '../store/balancer-records.ts'
import type { Records } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import { invalid, type Kind, notFound, wordsOf } from './errors.ts'

const ID_BYTES = 8
const NEW_ID_TRIES = 5
/** ARNs in one request. */
const MAX_ARNS = 400

const FORMS: Readonly<Record<Kind, RegExp>> = {
  'load-balancer': /^loadbalancer\/(?:net|app|gwy)\/[\w-]+\/([0-9a-f]{16})$/,
  'target-group': /^targetgroup\/[\w-]+\/([0-9a-f]{16})$/,
  listener: /^listener\/(?:net|app|gwy)\/[\w-]+\/[0-9a-f]{16}\/([0-9a-f]{16})$/,
}
const PREFIX = /^arn:aws:elasticloadbalancing:[\w-]+:\d{12}:/
const RULE = /^listener-rule\/((?:net|app|gwy)\/[\w-]+\/[0-9a-f]{16}\/[0-9a-f]{16})\/[0-9a-f]{16}$/

/** Sixteen hex digits that no record of the kind has. */
export async function newHexId(tx: Transaction, randomHex: RandomHex, kind: Kind): Promise<string> {
  for (let tries = 0; tries < NEW_ID_TRIES; tries += 1) {
    const id = randomHex(ID_BYTES)
    if ((await tx.get(kind, id)) === null) return id
  }
  throw new MalleeError('Conflict', `${NEW_ID_TRIES} random ids for a new ${kind} were all taken`)
}

export function loadBalancerArn(
  region: string,
  { account, name, id }: Pick<LoadBalancerRecord, 'account' | 'name' | 'id'>,
): string {
  return `${base(region, account)}loadbalancer/net/${name}/${id}`
}

export function targetGroupArn(
  region: string,
  { account, name, id }: Pick<TargetGroupRecord, 'account' | 'name' | 'id'>,
): string {
  return `${base(region, account)}targetgroup/${name}/${id}`
}

/** `name` is the load balancer's. */
export function listenerArn(
  region: string,
  name: string,
  { account, loadBalancer, id }: Pick<ListenerRecord, 'account' | 'loadBalancer' | 'id'>,
): string {
  return `${base(region, account)}listener/net/${name}/${loadBalancer}/${id}`
}

/** Of a listener's default rule, the only one that it has. */
export function ruleArn(ofListener: string): string {
  const id = ofListener.slice(-2 * ID_BYTES)
  return `${ofListener.replace(':listener/', ':listener-rule/')}/${id}`
}

/** The listener whose rule this is. Throws ValidationError for what is no rule's ARN. */
export function listenerOfRule(arn: string): string {
  const [, path] = RULE.exec(arn.replace(PREFIX, '')) ?? []
  if (path === undefined || !PREFIX.test(arn)) throw malformed('listener rule', arn)
  return `${PREFIX.exec(arn)?.[0] ?? ''}listener/${path}`
}

/** The ARN of a record of any kind. */
export function arnOf<K extends Kind>(
  view: Pick<View, 'get'>,
  region: string,
  kind: K,
  record: Records[K],
): string {
  if (kind === 'listener') {
    const listener = record as ListenerRecord
    const name = view.get('load-balancer', listener.loadBalancer)?.name ?? ''
    return listenerArn(region, name, listener)
  }
  return kind === 'load-balancer'
    ? loadBalancerArn(region, record as LoadBalancerRecord)
    : targetGroupArn(region, record as TargetGroupRecord)
}

/** What kind of thing an ARN names; null when it has the form of none. */
export function kindOfArn(arn: string): Kind | null {
  const path = arn.replace(PREFIX, '')
  const kinds = Object.keys(FORMS) as Kind[]
  return PREFIX.test(arn) ? (kinds.find((kind) => FORMS[kind].test(path)) ?? null) : null
}

/** The id in an ARN of the kind. Throws ValidationError for what is none. */
export function idIn(kind: Kind, arn: string): string {
  const [, id] = FORMS[kind].exec(arn.replace(PREFIX, '')) ?? []
  if (id === undefined || !PREFIX.test(arn)) throw malformed(wordsOf(kind), arn)
  return id
}

/** The account's record under the ARN, as the mirror shows it; null when there is none. */
export function found<K extends Kind>(
  view: View,
  region: string,
  account: string,
  kind: K,
  arn: string,
): Records[K] | null {
  const record = view.get(kind, idIn(kind, arn))
  return record?.account === account && arnOf(view, region, kind, record) === arn ? record : null
}

/** The records of the ARNs, each once, in their order. Throws ...NotFound. */
export function named<K extends Kind>(
  view: View,
  region: string,
  account: string,
  kind: K,
  arns: readonly string[],
): Records[K][] {
  if (arns.length > MAX_ARNS) {
    throw invalid(`The request names ${arns.length} ARNs; at most ${MAX_ARNS} are allowed`)
  }
  const records = [...new Set(arns)].map((arn) => ({
    arn,
    record: found(view, region, account, kind, arn),
  }))
  const missing = records.filter(({ record }) => record === null).map(({ arn }) => arn)
  if (missing.length > 0) throw notFound(kind, missing)
  return records.flatMap(({ record }) => (record === null ? [] : [record]))
}

/** The same of one, from the store: it becomes a condition of the transaction. */
export async function oneInStore<K extends Kind>(
  tx: Transaction,
  region: string,
  account: string,
  kind: K,
  arn: string,
): Promise<Records[K]> {
  const record = await tx.get(kind, idIn(kind, arn))
  if (record?.account !== account) throw notFound(kind, [arn])
  const own =
    kind === 'listener'
      ? await tx.get('load-balancer', (record as ListenerRecord).loadBalancer)
      : null
  const view = { get: () => own } as unknown as Pick<View, 'get'>
  if (arnOf(view, region, kind, record) !== arn) throw notFound(kind, [arn])
  return record
}

function base(region: string, account: string): string {
  return `arn:aws:elasticloadbalancing:${region}:${account}:`
}

function malformed(words: string, arn: string): Error {
  return invalid(`'${arn.slice(0, 300)}' is not a valid ${words} ARN`)
}
