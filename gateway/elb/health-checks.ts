// The health check of a target group: what a request says of it, and what it is when nobody says
// (Elastic Load Balancing, "Health checks for Network Load Balancer target groups").

import type { LoadBalancingInputs } from '../aws/handlers.ts'
import type { HealthCheckRecord } from '../store/balancer-records.ts'
import { badConfiguration, invalid } from './errors.ts'

type Asked = Pick<
  LoadBalancingInputs['CreateTargetGroup'],
  | 'HealthCheckEnabled'
  | 'HealthCheckProtocol'
  | 'HealthCheckPort'
  | 'HealthCheckPath'
  | 'HealthCheckIntervalSeconds'
  | 'HealthCheckTimeoutSeconds'
  | 'HealthyThresholdCount'
  | 'UnhealthyThresholdCount'
  | 'Matcher'
>

/** The members that say something of it. */
export const HEALTH_CHECK_MEMBERS: readonly (keyof Asked)[] = [
  ...(['HealthCheckEnabled', 'HealthCheckProtocol', 'HealthCheckPort'] as const),
  ...(['HealthCheckPath', 'HealthCheckIntervalSeconds', 'HealthCheckTimeoutSeconds'] as const),
  ...(['HealthyThresholdCount', 'UnhealthyThresholdCount', 'Matcher'] as const),
]

const TRAFFIC_PORT = 'traffic-port'
const MAX_PORT = 65_535
const MAX_PATH = 1_024
const USUAL_CODES = '200-399'
/** Of TCP; of HTTP and HTTPS. */
const TIMEOUTS = { TCP: 10, HTTP: 6, HTTPS: 10 } as const
const CODES = /^\d{3}(?:-\d{3})?(?:,\d{3}(?:-\d{3})?)*$/

/** `before` is what it was; null for a new group. Throws for what no health check is. */
export function parseHealthCheck(
  input: Asked,
  before: HealthCheckRecord | null,
): HealthCheckRecord {
  if (input.HealthCheckEnabled === false) {
    throw badConfiguration(
      "Health checks of targets of the type 'instance' or 'ip' cannot be disabled",
    )
  }
  const protocol = protocolOf(input.HealthCheckProtocol ?? before?.protocol ?? 'TCP')
  const isHttp = protocol !== 'TCP'
  const { HealthCheckPath: path, Matcher: matcher } = input
  if (!isHttp && ((path ?? '') !== '' || matcher?.HttpCode !== undefined)) {
    const text = 'HealthCheckPath and Matcher are only for health checks over HTTP or HTTPS'
    throw badConfiguration(text)
  }
  if (matcher?.GrpcCode !== undefined)
    throw badConfiguration('This cloud has no gRPC health checks')
  const kept = before?.protocol === protocol ? before : null
  const intervalS = ranged(
    'interval',
    input.HealthCheckIntervalSeconds,
    before?.intervalS ?? 30,
    [5, 300],
  )
  const usualTimeout = kept?.timeoutS ?? Math.min(TIMEOUTS[protocol], intervalS)
  const timeoutS = ranged('timeout', input.HealthCheckTimeoutSeconds, usualTimeout, [2, 120])
  if (timeoutS > intervalS) {
    throw invalid(
      `Health check timeout '${timeoutS}' must be smaller than or equal to the interval '${intervalS}'`,
    )
  }
  return {
    protocol,
    port: portOf(input.HealthCheckPort, before?.port ?? 0),
    path: isHttp ? pathOf(path ?? (kept?.path || '/')) : '',
    codes: isHttp ? codesOf(matcher?.HttpCode ?? (kept?.codes || USUAL_CODES)) : '',
    intervalS,
    timeoutS,
    healthyThreshold: threshold(
      'healthy',
      input.HealthyThresholdCount,
      before?.healthyThreshold ?? 5,
    ),
    unhealthyThreshold: threshold(
      'unhealthy',
      input.UnhealthyThresholdCount,
      before?.unhealthyThreshold ?? 2,
    ),
  }
}

/** As target groups show it. */
export function shownHealthCheck(check: HealthCheckRecord): Asked {
  const http =
    check.protocol === 'TCP'
      ? {}
      : { HealthCheckPath: check.path, Matcher: { HttpCode: check.codes } }
  return {
    HealthCheckEnabled: true,
    HealthCheckProtocol: check.protocol,
    HealthCheckPort: shownPort(check),
    HealthCheckIntervalSeconds: check.intervalS,
    HealthCheckTimeoutSeconds: check.timeoutS,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
    ...http,
  }
}

export function shownPort({ port }: Pick<HealthCheckRecord, 'port'>): string {
  return port === 0 ? TRAFFIC_PORT : String(port)
}

function protocolOf(asked: string): HealthCheckRecord['protocol'] {
  if (asked === 'TCP' || asked === 'HTTP' || asked === 'HTTPS') return asked
  throw invalid(`Health check protocol '${asked}' must be one of 'HTTP, HTTPS, TCP'`)
}

function portOf(asked: string | undefined, before: number): number {
  if (asked === undefined) return before
  if (asked === TRAFFIC_PORT) return 0
  if (/^[1-9]\d{0,4}$/.test(asked) && Number(asked) <= MAX_PORT) return Number(asked)
  throw invalid(
    `Health check port '${asked.slice(0, 100)}' must be in 1-${MAX_PORT} or '${TRAFFIC_PORT}'`,
  )
}

/** It becomes a part of a line that HAProxy reads: printable ASCII without blanks. */
function pathOf(path: string): string {
  if (path.length <= MAX_PATH && /^\/[\x21-\x7e]*$/.test(path)) return path
  const text = `Health check path '${path.slice(0, 200)}' must begin with '/'`
  throw invalid(`${text}, and have at most ${MAX_PATH} printable characters without blanks`)
}

/** AWS: 200 to 599 for groups of TCP, UDP and TCP_UDP. */
function codesOf(codes: string): string {
  const numbers = codes.split(/[-,]/).map(Number)
  const isOrdered = codes.split(',').every((one) => {
    const [first = 0, last = first] = one.split('-').map(Number)
    return first <= last
  })
  if (CODES.test(codes) && isOrdered && numbers.every((n) => n >= 200 && n <= 599)) return codes
  throw invalid(
    `Health check matcher HTTP code '${codes.slice(0, 100)}' must be within '200-599' inclusive`,
  )
}

function ranged(
  what: string,
  asked: number | undefined,
  usual: number,
  [least, most]: readonly [number, number],
): number {
  const value = asked ?? usual
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw invalid(`Health check ${what} '${value}' must be between ${least} and ${most} seconds`)
}

function threshold(what: string, asked: number | undefined, usual: number): number {
  const value = asked ?? usual
  if (Number.isInteger(value) && value >= 2 && value <= 10) return value
  throw invalid(`${what} threshold count '${value}' must be between 2 and 10`)
}
