// What the gateway counts, in Prometheus' terms. Labels come from fixed sets or are bounded here: a
// caller must not be able to make series.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { CertificateEnds } from './certificate.ts'
import { type SnapshotMetrics, snapshotMetrics } from './ebs/chunks/metrics.ts'
import { type VolumeMetrics, volumeMetrics } from './ebs/volume-metrics.ts'
import { type PeeringMetrics, peeringMetrics } from './peering/metrics.ts'
import { type BucketMetrics, bucketMetrics } from './s3/bucket-metrics.ts'
import type { EventMetrics } from './s3/events/delivery.ts'
import { eventMetrics } from './s3/events/metrics.ts'
import type { ObjectMetrics } from './s3/keeping/keeper.ts'
import { objectMetrics } from './s3/keeping/metrics.ts'
import type { LoggingMetrics } from './s3/logging/delivery.ts'
import { loggingMetrics } from './s3/logging/metrics.ts'
import { type VpnMetrics, vpnMetrics } from './vpn/metrics.ts'

export interface ApiCallMetric {
  readonly service: string
  /** An operation of the model, or `unknown`. */
  readonly action: string
  /** `OK`, or the code of the error. */
  readonly code: string
  readonly seconds: number
}

export interface ScalingMetric {
  readonly groups: number
  readonly desired: number
  readonly inService: number
  /** Groups whose last launch failed. */
  readonly failing: number
}

export interface ImagesMetric {
  readonly keptBytes: number
  readonly hits: number
  readonly misses: number
  readonly bytesFromParents: number
  readonly bytesFromNeighbours: number
}

export interface Metrics
  extends ObjectMetrics,
    EventMetrics,
    LoggingMetrics,
    BucketMetrics,
    SnapshotMetrics,
    VolumeMetrics,
    PeeringMetrics,
    VpnMetrics {
  readonly apiCall: (call: ApiCallMetric) => void
  /** A call that was refused because its account calls too often; the action is the model's. */
  readonly apiThrottled: (service: string, action: string) => void
  /** Open sessions with racks' CCs. */
  readonly setSessions: (open: number) => void
  /** Racks by state (`connected`, `away`, `draining`, ...); states that are not named become 0. */
  readonly setRacks: (byState: Readonly<Record<string, number>>) => void
  /** Tunnels by state, `up` and `silent`, each counted from both ends. */
  readonly setTunnels: (byState: Readonly<Record<string, number>>) => void
  /** Instances by EC2's state name; states that are not named become 0. */
  readonly setInstances: (byState: Readonly<Record<string, number>>) => void
  /** Hosts that say what troubles them; `mallee status` has the sentences. */
  readonly setTroubledHosts: (hosts: number) => void
  /** Hosts that the operator cordoned: nothing new is placed there. */
  readonly setCordonedHosts: (hosts: number) => void
  /** Hosts that the operator wants to leave: `draining`, and `lost` until they are gone. */
  readonly setLeavingHosts: (byState: Readonly<Record<string, number>>) => void
  /** Auto Scaling groups: how many, what they desire, have in service, and cannot launch. */
  readonly setScaling: (groups: ScalingMetric) => void
  /** Load balancers by AWS's state name; states that are not named become 0. */
  readonly setLoadBalancers: (byState: Readonly<Record<string, number>>) => void
  /** Nodes of load balancers that no host takes. */
  readonly setNodesWithoutHost: (nodes: number) => void
  /** Images on hosts, all together. */
  readonly setImages: (images: ImagesMetric) => void
  readonly setCertificates: (ends: CertificateEnds) => void
  readonly storeTransaction: (outcome: 'ok' | 'conflict' | 'failed', seconds: number) => void
  /** Records of the audit log: in its file, or not. */
  readonly auditRecords: (outcome: 'written' | 'lost', records: number) => void
  /** Serial consoles that users have open here. */
  readonly serialSessions: (open: number) => void
  /** Of a serial console that was closed: bytes from its user, and to them. */
  readonly serialBytes: (bytesIn: number, bytesOut: number) => void
  /** The text that Prometheus scrapes, and its content type. */
  readonly scrape: () => Promise<{ readonly contentType: string; readonly text: string }>
}

/** Different codes of one action; AWS documents far fewer. */
const MAX_CODES = 200

/** With series of their own. */
const MOST_BUCKETS = 100

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * A registry of its own, with the process's metrics (memory, CPU, event loop) in it. `mostBuckets`
 * have series of their own.
 */
export function createMetrics(mostBuckets = MOST_BUCKETS): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const calls = new Counter({
    name: 'mallee_api_requests_total',
    help: 'API requests by service, action and code',
    labelNames: ['service', 'action', 'code'],
    registers,
  })
  const seconds = new Histogram({
    name: 'mallee_api_request_seconds',
    help: 'Time from the end of a request to its answer',
    labelNames: ['service', 'action'],
    buckets: SECONDS,
    registers,
  })
  const throttled = new Counter({
    name: 'mallee_api_throttled_total',
    help: 'API requests refused because their account made too many, by service and action',
    labelNames: ['service', 'action'],
    registers,
  })
  const sessions = new Gauge({
    name: 'mallee_sessions',
    help: 'Open sessions with racks',
    registers,
  })
  const racks = gaugeByState('mallee_racks', 'Racks by state', registers)
  const tunnels = gaugeByState('mallee_tunnels', 'Tunnels by state, from both ends', registers)
  const instances = gaugeByState('mallee_instances', 'Instances by state', registers)
  const troubled = new Gauge({
    name: 'mallee_hosts_in_trouble',
    help: 'Hosts that report trouble',
    registers,
  })
  const cordoned = new Gauge({
    name: 'mallee_hosts_cordoned',
    help: 'Hosts where the operator lets nothing new be placed',
    registers,
  })
  const leaving = gaugeByState(
    'mallee_hosts_leaving',
    'Hosts that the operator drains, and lost ones that something keeps',
    registers,
  )
  const scalingGroups = new Gauge({
    name: 'mallee_scaling_groups',
    help: 'Auto Scaling groups',
    registers,
  })
  const scalingInstances = gaugeByState(
    'mallee_scaling_instances',
    'Instances of Auto Scaling groups: desired, and in service',
    registers,
  )
  const scalingFailing = new Gauge({
    name: 'mallee_scaling_groups_failing',
    help: 'Auto Scaling groups whose last launch failed',
    registers,
  })
  const balancers = gaugeByState('mallee_load_balancers', 'Load balancers by state', registers)
  const hostless = new Gauge({
    name: 'mallee_balancer_nodes_without_host',
    help: 'Nodes of load balancers that no host takes',
    registers,
  })
  const images = imageMetrics(registers)
  const certificates = new Gauge({
    name: 'mallee_certificate_not_after_seconds',
    help: 'When the certificate ends, in seconds since 1970',
    labelNames: ['of'],
    registers,
  })
  const transactions = new Histogram({
    name: 'mallee_store_transaction_seconds',
    help: 'Store transactions until durable',
    labelNames: ['outcome'],
    buckets: SECONDS,
    registers,
  })
  const audited = new Counter({
    name: 'mallee_audit_records_total',
    help: 'Records of the audit log by outcome, written or lost',
    labelNames: ['outcome'],
    registers,
  })
  const serialSessions = new Gauge({
    name: 'mallee_serial_console_sessions',
    help: 'Serial consoles that users have open',
    registers,
  })
  const serialBytes = new Counter({
    name: 'mallee_serial_console_bytes_total',
    help: 'Bytes of serial consoles that were closed, from their users (in) and to them (out)',
    labelNames: ['direction'],
    registers,
  })
  // An alert on lost records needs the series before the first is lost.
  audited.inc({ outcome: 'lost' }, 0)
  const codes = new Set<string>()

  return {
    ...objectMetrics(registers),
    ...eventMetrics(registers),
    ...loggingMetrics(registers),
    ...bucketMetrics(registers, mostBuckets),
    ...volumeMetrics(registers),
    ...peeringMetrics(registers),
    ...vpnMetrics(registers),
    ...snapshotMetrics(registers),
    apiCall({ service, action, code, seconds: took }) {
      if (codes.size < MAX_CODES) codes.add(code)
      calls.inc({ service, action, code: codes.has(code) ? code : 'other' })
      seconds.observe({ service, action }, took)
    },
    apiThrottled: (service, action) => throttled.inc({ service, action }),
    setSessions: (open) => sessions.set(open),
    setRacks: (byState) => setAll(racks, byState),
    setTunnels: (byState) => setAll(tunnels, byState),
    setInstances: (byState) => setAll(instances, byState),
    setTroubledHosts: (hosts) => troubled.set(hosts),
    setCordonedHosts: (hosts) => cordoned.set(hosts),
    setLeavingHosts: (byState) => setAll(leaving, byState),
    setScaling: ({ groups, desired, inService, failing }) => {
      scalingGroups.set(groups)
      setAll(scalingInstances, { desired, 'in-service': inService })
      scalingFailing.set(failing)
    },
    setLoadBalancers: (byState) => setAll(balancers, byState),
    setNodesWithoutHost: (nodes) => hostless.set(nodes),
    setImages: images,
    setCertificates: ({ ca, gateway }) => {
      certificates.set({ of: 'ca' }, ca / 1000)
      certificates.set({ of: 'gateway' }, gateway / 1000)
    },
    storeTransaction: (outcome, took) => transactions.observe({ outcome }, took),
    auditRecords: (outcome, records) => audited.inc({ outcome }, records),
    serialSessions: (open) => serialSessions.set(open),
    serialBytes: (bytesIn, bytesOut) => {
      serialBytes.inc({ direction: 'in' }, bytesIn)
      serialBytes.inc({ direction: 'out' }, bytesOut)
    },
    scrape: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

/** Gauges, as hosts come and go, and count anew with each start of their agents. */
function imageMetrics(registers: Registry[]): Metrics['setImages'] {
  const kept = new Gauge({
    name: 'mallee_images_kept_bytes',
    help: 'Bytes of images that hosts keep',
    registers,
  })
  const lookups = new Gauge({
    name: 'mallee_images_asked',
    help: 'Times that a host was to have an image since its agent started: it was there, or not',
    labelNames: ['outcome'],
    registers,
  })
  const received = new Gauge({
    name: 'mallee_images_received_bytes',
    help: 'Bytes of images that came to hosts since their agents started',
    labelNames: ['from'],
    registers,
  })
  return ({ keptBytes, hits, misses, bytesFromParents, bytesFromNeighbours }) => {
    kept.set(keptBytes)
    lookups.set({ outcome: 'hit' }, hits)
    lookups.set({ outcome: 'miss' }, misses)
    received.set({ from: 'parent' }, bytesFromParents)
    received.set({ from: 'neighbour' }, bytesFromNeighbours)
  }
}

function gaugeByState(name: string, help: string, registers: Registry[]): Gauge<'state'> {
  return new Gauge({ name, help, labelNames: ['state'], registers })
}

function setAll(gauge: Gauge<'state'>, byState: Readonly<Record<string, number>>): void {
  gauge.reset()
  for (const [state, count] of Object.entries(byState)) gauge.set({ state }, count)
}
