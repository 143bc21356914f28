// A cloud over a real store in a directory of its own, with hosts that are only records, and its
// EC2 handlers, called as the endpoint calls them.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import type {
  Authorized,
  CallContext,
  Ec2Handlers,
  Ec2Inputs,
  Ec2Outputs,
} from '../../../gateway/aws/handlers.ts'
import { type Ec2Parts, ec2Handlers } from '../../../gateway/ec2/index.ts'
import { ensureDefaultNetworks, ensureDefaultSubnets } from '../../../gateway/ec2/networks.ts'
import { releaseInterfaces, releaseStopped } from '../../../gateway/ec2/release.ts'
import { hostIndexPool, RACK_INDEX_POOL } from '../../../gateway/pools.ts'
import { openState } from '../../../gateway/store/mirror.ts'
import type { HostReport, InstanceRecord, Role } from '../../../gateway/store/records.ts'
import { openSqlite } from '../../../gateway/store/sqlite.ts'
import type { State } from '../../../gateway/store/state.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { HOST_INDEXES, RACK_INDEXES } from '../../../topology/ranges.ts'
import type { Ending } from '../../support/cloud.ts'
import { testSealer } from '../../support/sealer.ts'
import { hostReport, volumeStore } from './host-reports.ts'

export const REGION = 'mallee-1'
export const ACCOUNT = '111122223333'
export const OTHER_ACCOUNT = '444455556666'
export const START_MS = Date.UTC(2026, 10, 22, 12)
/** The digest of the file that every cloud here has. */
export const DIGEST = 'ab'.repeat(32)

export interface Cloud {
  readonly state: State
  /** Of the SQLite store, when it is one. */
  readonly file: string
  readonly call: Call
  /** The handlers of another gateway, which has a mirror of its own of the same store. */
  readonly otherGateway: () => Promise<Call>
  /** Closes and opens the store, as a restart of the gateway does. */
  readonly restart: () => Promise<void>
}

export type Call = <K extends keyof Ec2Handlers & keyof Ec2Inputs>(
  action: K,
  input: Ec2Inputs[K],
  as?: { account?: string; nowMs?: number; authorized?: Authorized | undefined },
) => Promise<Ec2Outputs[K]>

export interface CloudOptions
  extends Partial<
    Pick<
      Ec2Parts,
      'askGuest' | 'consoleOutput' | 'findObject' | 'overcommit' | 'snapshotHolds' | 'takenWithinMs'
    >
  > {
  readonly racks?: readonly string[]
  /** Of every nc host; there are two in a rack. */
  readonly vcpus?: number
  readonly pools?: readonly string[]
  /** A store of the test's own, opened again at each restart; SQLite when not given. */
  readonly openStore?: (file: string) => Promise<Store>
  readonly clock?: Clock
}

/** A cloud with two accounts, its racks, and in each a cc host that is sc too, and two of nc. */
export async function openCloud(t: Ending, options: CloudOptions = {}): Promise<Cloud> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-ec2-'))
  const file = join(dir, 'store.db')
  const sealer = await testSealer(t)
  const { clock = systemClock } = options
  const open = async (): Promise<{ state: State; store: Store; close: () => Promise<void> }> => {
    const store = await (options.openStore?.(file) ?? openSqlite({ file, log: silentLog }))
    const state = await openState({ store, clock, log: silentLog })
    return {
      state,
      store,
      close: async () => {
        await state.close()
        await store.close()
      },
    }
  }
  let current = await open()
  t.after(async () => {
    await current.close()
    await rm(dir, { recursive: true, force: true })
  })
  await fill(current.state, options)
  const callerOf = (stateNow: () => State): Call =>
    (async (action, input, as = {}) => {
      const handlers = ec2Handlers({
        ...options,
        state: stateNow(),
        randomHex,
        sealer,
        region: REGION,
        consoleOutput: options.consoleOutput ?? noConsole,
      })
      const handler = handlers[action] as
        | ((context: CallContext, input: unknown) => unknown)
        | undefined
      assert.ok(handler, `${action} has a handler`)
      return await handler(contextOf(input as object, as), input)
    }) as Call
  return {
    get state() {
      return current.state
    },
    file,
    call: callerOf(() => current.state),
    otherGateway: async () => {
      const { store } = current
      const other = await openState({ store, clock, log: silentLog })
      t.after(() => other.close())
      return callerOf(() => other)
    },
    restart: async () => {
      await current.close()
      current = await open()
    },
  }
}

/** An image of `account` that fits on every type. */
export async function registerImage(cloud: Cloud, name = 'debian'): Promise<string> {
  const { ImageId } = await cloud.call('RegisterImage', {
    Name: name,
    ImageLocation: `sha256:${DIGEST}`,
  })
  assert.ok(ImageId)
  return ImageId
}

/** Starts instances and says their ids. */
export async function run(
  cloud: Cloud,
  input: Omit<Ec2Inputs['RunInstances'], 'MinCount' | 'MaxCount'> & { count?: number },
): Promise<string[]> {
  const { count = 1, ...rest } = input
  const { Instances } = await cloud.call('RunInstances', {
    InstanceType: 't3.nano',
    MinCount: count,
    MaxCount: count,
    ...rest,
  })
  return (Instances ?? []).map(({ InstanceId }) => InstanceId ?? '')
}

/** What recordReport does when the host says that an instance is in a state. */
export async function report(
  state: State,
  id: string,
  to: 'running' | 'stopped' | 'terminated',
  nowMs = START_MS,
): Promise<void> {
  await state.update(async (tx) => {
    const record = await tx.get('instance', id)
    assert.ok(record)
    const observed = { state: to, sinceMs: nowMs }
    const next: InstanceRecord = { ...record, state: to, observed }
    if (to === 'terminated') await releaseInterfaces(tx, record)
    if (to === 'stopped') await releaseStopped(tx, record)
    await tx.put(
      'instance',
      [id],
      to === 'terminated' ? { ...next, interfaces: [], terminatedAtMs: nowMs } : next,
    )
  })
}

/** Changes what a host last said. */
export async function setHost(
  state: State,
  rack: string,
  host: string,
  change: Partial<HostReport>,
): Promise<void> {
  await state.update(async (tx) => {
    const record = await tx.get('host', rack, host)
    assert.ok(record?.status)
    await tx.put('host', [rack, host], { ...record, status: { ...record.status, ...change } })
  })
}

/** The code of AWS that a call is refused with. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  const outcome = await call.then(
    () => null,
    (error: unknown) => error,
  )
  if (outcome === null) return 'accepted'
  if (outcome instanceof ApiError) return outcome.code
  throw outcome
}

/** The code and the sentence of AWS that a call is refused with. */
export async function refused(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  const outcome = await call.then(
    () => null,
    (error: unknown) => error,
  )
  assert.ok(outcome instanceof ApiError, `${String(outcome)} is no refusal`)
  return { code: outcome.code, message: outcome.message }
}

export async function addRack(state: State, rack: string, index: number, vcpus = 8): Promise<void> {
  await state.update(async (tx) => {
    await tx.pool(RACK_INDEX_POOL).take(RACK_INDEXES)
    await tx.put('rack', [rack], { name: rack, index, state: 'joined', createdAtMs: START_MS })
    for (const [i, roles] of [['cc', 'sc'], ['nc'], ['nc']].entries()) {
      const host = `${rack}${i}`
      await tx.pool(hostIndexPool(rack)).take(HOST_INDEXES)
      await tx.put('host', [rack, host], {
        rack,
        host,
        index: i + 1,
        roles: roles as Role[],
        keyFingerprint: host,
        simulated: true,
        joinedAtMs: START_MS,
        status: {
          ...hostReport(roles.includes('nc') ? vcpus : 0),
          ...(roles.includes('sc') && { volumes: volumeStore(host) }),
        },
      })
    }
  })
  await ensureDefaultSubnets(state, { nowMs: START_MS, randomHex })
}

async function fill(
  state: State,
  { racks = ['a', 'b'], vcpus, pools = ['10.0.0.0/8'] }: CloudOptions,
): Promise<void> {
  await state.update(async (tx) => {
    await tx.put('cloud', ['self'], {
      name: 'test',
      region: REGION,
      fabricPrefix: 'fd12:3456:789a::/48',
      ipv6Pool: 'fdab:cdef:100::/40',
      ipv4Pools: pools,
      createdAtMs: START_MS,
    })
    await tx.put('blob', [DIGEST], {
      sha256: DIGEST,
      names: ['debian.qcow2'],
      sizeBytes: 1 << 20,
      virtualSizeBytes: 2 ** 30,
      format: 'qcow2',
      createdAtMs: START_MS,
    })
  })
  for (const id of [ACCOUNT, OTHER_ACCOUNT]) {
    await state.update(async (tx) => {
      await tx.put('account', [id], { id, name: `account-${id}`, createdAtMs: START_MS })
      await ensureDefaultNetworks(tx, state, id, { nowMs: START_MS, randomHex })
    })
  }
  for (const [i, rack] of racks.entries()) await addRack(state, rack, i + 1, vcpus)
}

function contextOf(
  input: object,
  { account = ACCOUNT, nowMs = START_MS, authorized }: NonNullable<Parameters<Call>[2]>,
): CallContext {
  return {
    caller: {
      account,
      userArn: `arn:aws:iam::${account}:root`,
      userId: account,
      accessKeyId: 'AKIAAAAAAAAAAAAAAAAA',
    },
    requestId: '00000000-0000-4000-8000-000000000000',
    nowMs,
    log: silentLog,
    parameters: new Map(Object.entries(input).map(([k, value]) => [k, JSON.stringify(value)])),
    ...(authorized === undefined ? {} : { authorized }),
  }
}

async function noConsole(): Promise<never> {
  throw new Error('no test of this cloud reads a console')
}
