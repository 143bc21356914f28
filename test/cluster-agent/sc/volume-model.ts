// A storage host as a model: files, ledgers and tgtd, changed by the steps of a plan, one small
// effect at a time. It refuses what tgtd or the disk would refuse, and checks after each effect
// what must always hold.

import assert from 'node:assert/strict'
import type { VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import { isSame, type Ledger } from '../../../cluster-agent/sc/volumes/ledger.ts'
import {
  type Plan,
  planVolumes,
  type Seen,
  type VolumeStep,
} from '../../../cluster-agent/sc/volumes/plan.ts'
import type { ServedTarget } from '../../../cluster-agent/sc/volumes/targets.ts'
import type { Grant, WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'
import { RestoresModel } from './restores-model.ts'
import { canLogin, fileOf, isOf, isRetired, shownFileOf, type Target } from './target-model.ts'

type Effect = () => void

export class Model {
  readonly files = new Map<VolumeId, number>()
  readonly #ledgers = new Map<VolumeId, Ledger>()
  readonly restores = new RestoresModel()
  #targets: Target[] = []
  #nextTid = 1
  #accounts: string[] = []
  /** The newest generation that could log in, of each volume. */
  readonly #newest = new Map<VolumeId, number>()
  #wanted: readonly WantedVolume[] = []
  /** Every grant that ever was wished for. */
  readonly #known = new Map<string, { id: VolumeId; grant: Grant }>()

  plan(wanted: readonly WantedVolume[]): Plan {
    this.#wanted = wanted
    for (const { id, grants } of wanted) {
      for (const grant of grants) this.#known.set(grant.chapUser, { id, grant })
    }
    const volumes: Seen['volumes'] = new Map(
      wanted.map(({ id }) => {
        const sizeBytes = this.files.get(id)
        const bytes = sizeBytes === undefined ? null : { sizeBytes, usedBytes: 0 }
        const ledger = this.#ledgers.get(id) ?? null
        const restore = this.restores.get(id) ?? null
        return [id, { bytes, ledger, restore, file: fileOf(id), shownFile: shownFileOf(id) }]
      }),
    )
    const targets = structuredClone(this.#targets.filter((one) => !isRetired(one)))
    const bound = new Set(this.#targets.flatMap(({ accounts }) => accounts))
    const leftovers = this.#accounts.filter((user) => !bound.has(user))
    const nextTid = this.#nextTid
    return planVolumes(wanted, { volumes, targets, leftovers, nextTid, direct: false })
  }

  /** Does what is planned; a crash comes after so many effects. */
  apply({ forgotten, volumes }: Plan, crashAfter = Number.POSITIVE_INFINITY): void {
    const effects = [
      ...forgotten.map((user) => () => this.#removeAccount(user)),
      ...volumes.flatMap(({ id, steps }) => steps.flatMap((step) => this.#effects(id, step))),
    ]
    for (const effect of effects.slice(0, crashAfter)) {
      effect()
      this.#check()
    }
  }

  /** tgtd ends and forgets everything. */
  restartTgtd(): void {
    this.#targets = []
    this.#accounts = []
  }

  /** Everybody who can logs in. */
  login(): void {
    for (const target of this.#targets) {
      for (const { grant } of this.#known.values()) {
        if (canLogin(target, grant)) this.#addSession(target, grant)
      }
    }
    this.#check()
  }

  logout(): void {
    for (const target of this.#targets) target.sessions = []
  }

  #addSession(target: Target, { initiatorIqn: initiator, chapUser }: Grant): void {
    target.sessions = [...target.sessions, { initiator, user: chapUser }]
  }

  #effects(id: VolumeId, step: VolumeStep): Effect[] {
    switch (step.kind) {
      case 'create':
        return [() => this.#create(id, step.sizeBytes)]
      case 'grow':
        return [() => this.#grow(id, step.sizeBytes)]
      case 'record':
        return [() => this.#ledgers.set(id, step.ledger)]
      case 'revoke':
        return assert.fail('tgtd takes no one out alone')
      case 'withdraw':
        return this.#withdraw(step.target)
      case 'retire':
        return this.#retire(step.target)
      case 'export': {
        const { tid, iqn, lun, serial, file } = step.export
        const add = () => {
          const thin = true
          const isWhole = this.restores.get(id)?.whole !== false
          assert.equal(file, isWhole ? fileOf(id) : shownFileOf(id), 'served by another way')
          const sizeBytes = isWhole ? this.files.get(id) : this.restores.get(id)?.shownBytes
          assert.ok(sizeBytes, 'no file')
          this.#target(tid).luns = [{ lun, serial, file, sizeBytes, thin }]
        }
        return [() => this.#createTarget(tid, iqn), add]
      }
      case 'grant':
        return this.#grant(id, step.target.tid, step.grant)
      case 'delete':
        return [() => this.#delete(id)]
      case 'begin':
        return [() => this.restores.begin(id, this.files.has(id))]
      case 'show':
        return this.#show(id)
      case 'end':
        return [() => this.#end(id)]
    }
  }

  #create(id: VolumeId, sizeBytes: number): void {
    assert.ok(!this.files.has(id), 'made twice')
    const source = this.#wanted.find((one) => one.id === id)?.source ?? null
    if (source !== null) assert.ok(this.restores.has(id), 'zeroes in place of its snapshot')
    this.files.set(id, sizeBytes)
  }

  #show(id: VolumeId): Effect[] {
    const set = (shownBytes: number | null) => {
      assert.ok(!this.#uses(shownFileOf(id)), 'taken away in use')
      this.restores.show(id, shownBytes)
    }
    return [() => set(null), () => set(this.files.get(id) ?? assert.fail('no file'))]
  }

  #end(id: VolumeId): void {
    assert.ok(!this.#uses(shownFileOf(id)), 'ended in use')
    this.restores.end(id, this.#ledgers.get(id)?.deleted === true)
  }

  #uses(file: string): boolean {
    return this.#targets.some(({ luns }) => luns.some((lun) => lun.file === file))
  }

  #grow(id: VolumeId, sizeBytes: number): void {
    assert.ok(sizeBytes > (this.files.get(id) ?? assert.fail('no file')), 'shrunk')
    this.files.set(id, sizeBytes)
  }

  #delete(id: VolumeId): void {
    const wish = this.#wanted.find((one) => one.id === id)
    assert.ok(wish?.deleted, 'deleted without a wish')
    if (this.#ledgers.get(id)?.deleted !== true) assert.deepEqual(wish.grants, [])
    assert.ok(!this.#uses(fileOf(id)) && !this.restores.has(id), 'deleted in use')
    this.files.delete(id)
  }

  #withdraw({ tid, initiators, accounts }: ServedTarget): Effect[] {
    return [
      ...initiators.map((iqn) => () => {
        const target = this.#target(tid)
        target.initiators = target.initiators.filter((one) => one !== iqn)
      }),
      ...accounts.toReversed().map((user) => () => this.#removeAccount(user)),
      () => {
        this.#target(tid).sessions = []
      },
      () => {
        assert.deepEqual(this.#target(tid).sessions, [])
        this.#targets = this.#targets.filter((one) => one.tid !== tid)
      },
    ]
  }

  #retire({ tid, initiators }: ServedTarget): Effect[] {
    const set = (change: Partial<Target>) => () => Object.assign(this.#target(tid), change)
    return [set({ initiators: [] }), set({ sessions: [] }), set({ luns: [] }), set({ initiators })]
  }

  #createTarget(tid: number, iqn: string): void {
    const retired = this.#targets.find((one) => one.iqn === iqn && isRetired(one))
    for (const user of retired?.accounts.toReversed() ?? []) this.#removeAccount(user)
    this.#targets = this.#targets.filter((one) => one !== retired)
    assert.ok(!this.#targets.some((one) => one.tid === tid || one.iqn === iqn), 'target exists')
    const none = { luns: [], accounts: [], initiators: [], sessions: [] }
    this.#targets.push({ tid, iqn, ...none })
    this.#nextTid = Math.max(this.#nextTid, tid + 1)
  }

  #grant(id: VolumeId, tid: number, grant: Grant): Effect[] {
    const { chapUser, initiatorIqn } = grant
    const target = () => this.#target(tid)
    return [
      () => this.#removeAccount(chapUser),
      () => {
        const ledger = this.#ledgers.get(id) ?? assert.fail('nothing is written down')
        assert.ok(ledger.inForce.some((one) => isSame(one, grant)) && !ledger.deleted)
        this.#accounts.push(chapUser)
      },
      () => {
        target().accounts = [...target().accounts, chapUser]
      },
      () => {
        target().initiators = [...new Set([...target().initiators, initiatorIqn])]
      },
    ]
  }

  #removeAccount(user: string): void {
    this.#accounts = this.#accounts.filter((one) => one !== user)
    for (const target of this.#targets) {
      const at = target.accounts.indexOf(user)
      // Listing a target that has a hole in its row of accounts kills tgtd.
      assert.ok(at === -1 || at === target.accounts.length - 1, 'a hole')
      target.accounts = target.accounts.filter((one) => one !== user)
    }
  }

  #target(tid: number): Target {
    return this.#targets.find((one) => one.tid === tid) ?? assert.fail(`no target ${tid}`)
  }

  /** One writer; nobody who is not in the ledger; nobody older than one before; no open door. */
  #check(): void {
    for (const target of this.#targets) {
      if (target.initiators.length > 0) assert.notDeepEqual(target.accounts, [], 'no CHAP')
    }
    for (const { id, multiAttach } of this.#wanted) {
      const targets = this.#targets.filter(({ luns }) => isOf(id, luns[0]?.file))
      const writers = [...this.#known.values()].filter(
        (one) =>
          one.id === id &&
          targets.some(
            (target) => canLogin(target, one.grant) || this.#hasSession(target, one.grant),
          ),
      )
      const able = writers.filter(({ grant }) => targets.some((one) => canLogin(one, grant)))
      const ledger = this.#ledgers.get(id)
      if (multiAttach) continue
      assert.ok(writers.length <= 1, `writers ${writers.map(({ grant }) => grant.attachment)}`)
      for (const { grant } of able) {
        const newest = this.#newest.get(id) ?? 0
        assert.ok(grant.generation >= newest, `${grant.generation} after ${newest}`)
        this.#newest.set(id, grant.generation)
        assert.ok((ledger?.generation ?? 0) >= grant.generation, 'not written down')
      }
    }
  }

  #hasSession({ sessions }: Target, { chapUser }: Grant): boolean {
    return sessions.some(({ user }) => user === chapUser)
  }

  /** Lets somebody in to all targets behind the agent's back. */
  intrude({ chapUser, initiatorIqn }: Grant): void {
    this.#accounts.push(chapUser)
    for (const target of this.#targets) {
      target.accounts = [...target.accounts, chapUser]
      target.initiators = [...target.initiators, initiatorIqn]
    }
  }

  /** When all is done: who can log in is who the ledger has. */
  checkDone(): void {
    for (const { id, grants } of this.#wanted) {
      const targets = this.#targets.filter(({ luns }) => isOf(id, luns[0]?.file))
      const able = grants.filter((grant) => targets.some((target) => canLogin(target, grant)))
      const inForce = this.#ledgers.get(id)?.inForce ?? []
      const due = grants.filter((grant) => inForce.some((one) => isSame(one, grant)))
      if (inForce.length === 0) assert.deepEqual(targets, [])
      if (due.length > 0) {
        for (const { luns } of targets) assert.equal(luns[0]?.sizeBytes, this.files.get(id))
      }
      if (due.length > 0) assert.notEqual(this.restores.get(id)?.shownBytes, null)
      assert.deepEqual(able.map(({ attachment }) => attachment).sort(), names(due))
    }
  }
}

function names(grants: readonly Grant[]): string[] {
  return grants.map(({ attachment }) => attachment).sort()
}
