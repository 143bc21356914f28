// Volumes served by the kernel's LIO. Targets of other names there are somebody else's.

import { stat } from 'node:fs/promises'
import type { Clock } from '../../../common/clock.ts'
import { MalleeError } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import type { ConfigTree } from '../../host/config-tree.ts'
import * as lio from '../../host/lio.ts'
import { type LioTarget, showStore, showTarget, showTargets } from '../../host/lio-show.ts'
import { listenersAt } from '../../host/tgt.ts'
import type { VolumeId } from './backend.ts'
import type { Export, Served, ServedLun, ServedTarget, VolumeTargets } from './targets.ts'

export interface LioParts {
  readonly exec: Exec
  readonly clock: Clock
  /** /sys/kernel/config/target */
  readonly tree: ConfigTree
  /** /sys/dev/block */
  readonly blockDevices: ConfigTree
  /** Has the kernel load what it needs; a sentence when it cannot. */
  readonly load: () => Promise<string | null>
}

/** Its name ends with its volume's id. */
const OURS = /:vol-[0-9a-f]{17}$/
/** Until the last command of a session has ended. */
const FENCE_MS = 10_000
const POLL_MS = 10
/** A host that is cut off for longer keeps guests that wait. */
const RETIRED_MS = 3_600_000
/** A target has a name and no number: of one that comes later under it nothing is left. */
const TID = 0

export function lioTargets(parts: LioParts): VolumeTargets {
  const { exec, tree, load } = parts
  /** Where to listen, since `start`. */
  let listens: string | null = null
  let isLoaded = false
  /** Of retired targets: since when nobody is logged in. A new agent begins anew. */
  const idleSinceMs = new Map<string, number>()
  return {
    direct: null,
    trouble,
    start: async (portal) => {
      const why = await trouble(portal)
      if (why !== null) throw new MalleeError('Unavailable', why)
      listens = portal
      for (const { iqn, isOn, portals } of await showTargets(tree, OURS)) {
        const isRight = portals.length === 1 && portals[0] === portal
        if (isOn && !isRight) await lio.listenAt(tree, iqn, portal)
      }
    },
    look: () => look(parts, idleSinceMs),
    forget: (leftover) => forget(parts, leftover),
    serve: (target) => serve(parts, target, listens),
    grant: ({ iqn }, { chapUser, chapSecret, initiatorIqn }) =>
      allow(tree, iqn, { user: chapUser, secret: chapSecret, initiator: initiatorIqn }),
    withdraw: ({ iqn }, interrupt) => withdraw(parts, iqn, interrupt),
    retire: ({ iqn }, interrupt) => retire(parts, iqn, interrupt),
    still: (volumes, run) => still(parts, volumes, run),
    resume: async () => {
      // Others that are off serve nothing, and are made anew.
      for (const target of await showTargets(tree, OURS)) {
        if (isRetired(target) && !target.isOn) await lio.enable(tree, target.iqn)
      }
    },
    process: async () => null,
    stop: () => stop(parts),
  }

  async function trouble(portal: string): Promise<string | null> {
    if (!isLoaded || !(await lio.isThere(tree))) {
      const why = await load()
      if (why !== null) return why
      isLoaded = true
    }
    const [other] = await listenersAt(exec, portal)
    // The kernel itself is no process.
    return other === undefined ? null : `${other} listens at ${portal} already`
  }
}

async function look(parts: LioParts, idleSinceMs: Map<string, number>): Promise<Served | null> {
  const { tree, clock } = parts
  if (!(await lio.isThere(tree))) return null
  const shown = await showTargets(tree, OURS)
  const idle = shown.filter((one) => isRetired(one) && !hasSession(one)).map(({ iqn }) => iqn)
  for (const iqn of idleSinceMs.keys()) if (!idle.includes(iqn)) idleSinceMs.delete(iqn)
  const nowMs = clock.nowMs()
  for (const iqn of idle) idleSinceMs.set(iqn, idleSinceMs.get(iqn) ?? nowMs)
  const ended = idle.filter((iqn) => nowMs - (idleSinceMs.get(iqn) ?? nowMs) > RETIRED_MS)
  const used = new Set(shown.flatMap(storesOf))
  const unused = (await lio.listStores(tree)).filter((store) => !used.has(store))
  const targets: ServedTarget[] = []
  for (const one of shown) if (!isRetired(one)) targets.push(await served(parts, one))
  return { targets, leftovers: [...unused, ...ended] }
}

/** One that is made has its logical unit before anybody may log in. */
function isRetired({ luns, initiators }: LioTarget): boolean {
  return luns.length === 0 && initiators.length > 0
}

function hasSession({ initiators }: LioTarget): boolean {
  return initiators.some((one) => one.hasSession)
}

/** Targets have a colon in their names, stores a slash. */
async function forget(parts: LioParts, leftover: string): Promise<void> {
  if (leftover.includes('/')) return lio.removeStore(parts.tree, leftover)
  if (isRetired(await showTarget(parts.tree, leftover))) {
    await withdraw(parts, leftover, () => undefined)
  }
}

async function served(parts: LioParts, target: LioTarget): Promise<ServedTarget> {
  const { iqn, isOn, initiators } = target
  const luns: ServedLun[] = []
  for (const { lun, store } of isOn ? target.luns : []) {
    const shown = store === null ? null : await showStore(parts, store)
    if (shown !== null) luns.push({ lun, ...shown })
  }
  return {
    ...{ tid: TID, iqn, luns },
    accounts: initiators.flatMap(({ user }) => user ?? []),
    initiators: initiators.map(({ initiator }) => initiator),
    sessions: initiators.filter((one) => one.hasSession),
  }
}

/**
 * Logins are possible last, and nobody may: what ends half way serves nothing. Targets of one
 * volume have one store, so that the kernel orders what their clients write.
 */
async function serve(
  parts: LioParts,
  { iqn, lun, serial, file }: Export,
  portal: string | null,
): Promise<void> {
  const { tree } = parts
  // Its name was retired, and somebody has a right to it again.
  await forget(parts, iqn)
  const name = iqn.slice(iqn.lastIndexOf(':') + 1)
  const facts = await stat(file).catch((cause: Error) => {
    throw new MalleeError('CommandFailed', `${file} cannot be served: ${cause.message}`, { cause })
  })
  const isBlockDevice = facts.isBlockDevice()
  let store = lio.storeNamed(name, isBlockDevice)
  const isShared = (await lio.fileOf(tree, store)) === file && (await isUsed(tree, store))
  if (!isShared) {
    await lio.removeStore(tree, store)
    const fields = { name, file, serial, isBlockDevice, sizeBytes: facts.size }
    store = await lio.createStore(tree, fields)
  }
  await lio.createTarget(tree, { iqn, lun, store })
  if (portal !== null) await lio.listenAt(tree, iqn, portal)
  await lio.enable(tree, iqn)
}

async function isUsed(tree: ConfigTree, store: lio.LioStore): Promise<boolean> {
  return (await showTargets(tree, OURS)).flatMap(storesOf).includes(store)
}

async function allow(
  tree: ConfigTree,
  iqn: string,
  one: Omit<lio.LioInitiator, 'lun'>,
): Promise<void> {
  const { luns } = await showTarget(tree, iqn)
  for (const { lun } of luns) await lio.allow(tree, iqn, { ...one, lun })
}

async function withdraw(parts: LioParts, iqn: string, interrupt: () => void): Promise<void> {
  await emptied(parts, iqn, interrupt)
  await lio.removeTarget(parts.tree, iqn)
}

/** As it was, but for its logical unit: what is asked of that is answered with an error. */
async function retire(parts: LioParts, iqn: string, interrupt: () => void): Promise<void> {
  await emptied(parts, iqn, interrupt)
  await lio.enable(parts.tree, iqn)
}

/** Nothing that came through it will be written any more, and nobody can log in. */
async function emptied(parts: LioParts, iqn: string, interrupt: () => void): Promise<void> {
  const { tree } = parts
  const stores = storesOf(await showTarget(tree, iqn))
  await endSessions(parts, iqn, interrupt)
  await lio.empty(tree, iqn)
  for (const store of stores) if (!(await isUsed(tree, store))) await lio.removeStore(tree, store)
}

/** Clients see a broken connection before anything that they use is taken away. */
async function endSessions(
  { tree, clock }: LioParts,
  iqn: string,
  interrupt: () => void,
): Promise<void> {
  const deadlineMs = clock.nowMs() + FENCE_MS
  let isOff = false
  const off = lio.disable(tree, iqn).then(() => {
    isOff = true
  })
  off.catch(() => undefined)
  for (;;) {
    // It waits in the kernel for the commands that sessions have under way.
    await Promise.race([off, clock.sleep(POLL_MS)])
    if (isOff && !hasSession(await showTarget(tree, iqn))) return
    if (clock.nowMs() > deadlineMs) {
      throw new MalleeError('Unavailable', `the sessions of ${iqn} do not end`)
    }
    interrupt()
  }
}

/** Clients log in again: LIO cannot hold what it has taken. */
async function still<T>(
  parts: LioParts,
  volumes: readonly VolumeId[],
  run: () => Promise<T>,
): Promise<T> {
  const targets = (await showTargets(parts.tree, OURS)).filter(
    ({ iqn, isOn }) => isOn && volumes.some((id) => iqn.endsWith(`:${id}`)),
  )
  try {
    await Promise.all(targets.map(({ iqn }) => endSessions(parts, iqn, () => undefined)))
    return await run()
  } finally {
    for (const { iqn } of targets) await lio.enable(parts.tree, iqn)
  }
}

async function stop(parts: LioParts): Promise<void> {
  const { tree } = parts
  for (const { iqn } of await showTargets(tree, OURS)) {
    await withdraw(parts, iqn, () => undefined)
  }
  for (const store of await lio.listStores(tree)) await lio.removeStore(tree, store)
  await lio.removeAdapters(tree)
}

function storesOf({ luns }: Pick<LioTarget, 'luns'>): lio.LioStore[] {
  return luns.flatMap(({ store }) => store ?? [])
}
