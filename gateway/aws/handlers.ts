// The types of all services' handlers, one per operation, taken from the official SDK's clients.
// Types only: the SDK is not loaded.

import type { AutoScaling } from '@aws-sdk/client-auto-scaling'
import type { EC2 } from '@aws-sdk/client-ec2'
import type { ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2'
import type { IAM } from '@aws-sdk/client-iam'
import type { STS } from '@aws-sdk/client-sts'
import type { Log } from '../../common/log.ts'
import type { TemplateMeanings } from '../ec2/launch-template-names.ts'
import type { Arrival } from '../iam/request-keys.ts'

/** Whose key signed the request. */
export interface Caller {
  /** Twelve digits. */
  readonly account: string
  /**
   * `arn:aws:iam::<account>:root`, of a user, or of a role's session:
   * `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
   */
  readonly userArn: string
  /** The account's number, the id of the user, or `<id of the role>:<session>`. */
  readonly userId: string
  readonly accessKeyId: string
  /** Of temporary credentials: what they were given for. */
  readonly session?: CallerSession
}

/** What STS put into temporary credentials. */
export interface CallerSession {
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** The document that limits the session further; '' without one. */
  readonly policy: string
  /** ARNs of managed policies that limit it together with that. */
  readonly policyArns: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  /** Keys of tags that sessions begun with these credentials get too. */
  readonly transitiveTagKeys: readonly string[]
  /** '' without one. */
  readonly sourceIdentity: string
  /** Of a federated user: the id of the user, or the number of the account, who vouches for it. */
  readonly federatedBy?: string
}

export interface CallContext {
  readonly caller: Caller
  /** The UUID that the answer carries too. */
  readonly requestId: string
  /** Milliseconds since 1970 at which the request arrived. */
  readonly nowMs: number
  /** Has the request's id and action on every line. */
  readonly log: Log
  /**
   * The request's own parameters as sent, decoded from the form, without those that every request
   * has (Action, Version, signature): what a client token's answer belongs to.
   */
  readonly parameters: ReadonlyMap<string, string>
  /** How it came in, for the conditions of policies; absent where nobody is asked. */
  readonly arrival?: Arrival
  /** What policies were asked about; absent where nobody is asked. */
  readonly authorized?: Authorized
}

/** What names of a request meant when policies were asked: a launch takes that and nothing else. */
export interface Authorized {
  readonly templates: TemplateMeanings
  /** ARNs of the roles that the caller may pass. */
  readonly roles: ReadonlySet<string>
}

// Every method's last overload is (input, options, callback): it names both types at once.
type Last<Input, Output> = (
  input: Input,
  options: never,
  callback: (error: never, output?: Output) => void,
) => void
type InputOf<Method> = Method extends Last<infer Input, infer _> ? Input : never
type OutputOf<Method> =
  Method extends Last<infer _, infer Output> ? Omit<Output & object, '$metadata'> : never

type Inherited = 'config' | 'destroy' | 'middlewareStack' | 'send'
type Name<K> = K extends Inherited | `paginate${string}` | `waitUntil${string}` | symbol | number
  ? never
  : Capitalize<K & string>

/** Operation name → type of its input. */
export type Inputs<Client> = { [K in keyof Client as Name<K>]: InputOf<Client[K]> }
/** Operation name → type of its output. */
export type Outputs<Client> = { [K in keyof Client as Name<K>]: OutputOf<Client[K]> }

/** Operation name (`RunInstances`) → type of its input. */
export type Ec2Inputs = Inputs<EC2>
/** Operation name → type of its output. */
export type Ec2Outputs = Outputs<EC2>
export type StsInputs = Inputs<STS>
export type StsOutputs = Outputs<STS>
export type IamInputs = Inputs<IAM>
export type IamOutputs = Outputs<IAM>
export type AutoScalingInputs = Inputs<AutoScaling>
export type AutoScalingOutputs = Outputs<AutoScaling>
export type LoadBalancingInputs = Inputs<ElasticLoadBalancingV2>
export type LoadBalancingOutputs = Outputs<ElasticLoadBalancingV2>

/**
 * Answers one call: checks, does, returns the output. Throws ApiError for what AWS would refuse. A
 * dry run ends, when all is checked and nothing done yet, with
 * `ApiError('DryRunOperation', DRY_RUN_MESSAGE, 412)`.
 */
export type Handler<Input, Output> = (
  context: CallContext,
  input: Input,
) => Promise<Output> | Output

/** An operation without a handler answers UnsupportedOperation. */
export type Ec2Handlers = {
  readonly [K in keyof Ec2Inputs]?: Handler<Ec2Inputs[K], Ec2Outputs[K]>
}
export type StsHandlers = {
  readonly [K in keyof StsInputs]?: Handler<StsInputs[K], StsOutputs[K]>
}
export type IamHandlers = {
  readonly [K in keyof IamInputs]?: Handler<IamInputs[K], IamOutputs[K]>
}
export type AutoScalingHandlers = {
  readonly [K in keyof AutoScalingInputs]?: Handler<AutoScalingInputs[K], AutoScalingOutputs[K]>
}
export type LoadBalancingHandlers = {
  readonly [K in keyof LoadBalancingInputs]?: Handler<
    LoadBalancingInputs[K],
    LoadBalancingOutputs[K]
  >
}

/** Handlers of every service, by the name that a signature's scope has for it. */
export interface ServiceHandlers {
  readonly ec2: Ec2Handlers
  readonly sts: StsHandlers
  readonly iam: IamHandlers
  readonly autoscaling: AutoScalingHandlers
  readonly elasticloadbalancing: LoadBalancingHandlers
}
