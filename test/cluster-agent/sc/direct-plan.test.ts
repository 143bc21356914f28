// Volumes that clients open by themselves: what is served stays as it is for those who stay.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VolumeId } from '../../../cluster-agent/sc/volumes/backend.ts'
import {
  planVolumes,
  type SeenVolume,
  type VolumeStep,
} from '../../../cluster-agent/sc/volumes/plan.ts'
import type { ServedTarget } from '../../../cluster-agent/sc/volumes/targets.ts'
import type { Grant, WantedVolume } from '../../../cluster-agent/sc/volumes/wanted.ts'

const MIB = 1 << 20
const ID = 'vol-00000000000000001' as VolumeId
const IQN = `iqn.2026-01.org.mallee:${ID}`
const FILE = `/shown/${ID}.raw`
const TARGET = served('a1', 'a2')

test('planVolumes revokes one of two writers of a direct volume, and leaves the other', () => {
  const steps = plan({ inForce: ['a1', 'a2'], targets: [TARGET], grants: ['a2'] })
  assert.deepEqual(kinds(steps), ['record', 'revoke'])
  assert.equal(steps[1]?.kind === 'revoke' && steps[1].user, 'a1')
})

test('planVolumes lets one more in to a direct volume without touching who is there', () => {
  const steps = plan({ inForce: ['a1'], targets: [served('a1')], grants: ['a1', 'a2'] })
  assert.deepEqual(kinds(steps), ['record', 'grant'])
})

test('planVolumes lets who is by half out before it comes in again', () => {
  const half = { ...served('a1'), initiators: [] }
  const steps = plan({ inForce: ['a1'], targets: [half], grants: ['a1'] })
  assert.deepEqual(kinds(steps), ['revoke', 'grant'])
})

test('planVolumes grows a direct volume under its clients', () => {
  const sizeBytes = 128 * MIB
  const steps = plan({ inForce: ['a1'], targets: [served('a1')], grants: ['a1'], sizeBytes })
  assert.deepEqual(kinds(steps), ['grow'])
})

test('planVolumes lets nobody into a direct volume before all of its snapshot is there', () => {
  const restore = { whole: false, shownBytes: null }
  const coming = plan({ inForce: ['a1'], targets: [], grants: ['a1'], restore })
  assert.deepEqual(kinds(coming), [])
  const whole = plan({
    inForce: ['a1'],
    targets: [],
    grants: ['a1'],
    restore: { ...restore, whole: true },
  })
  assert.deepEqual(kinds(whole), ['export', 'grant', 'end'])
})

test('planVolumes takes all of a direct volume away with the last grant', () => {
  const steps = plan({ inForce: ['a1'], targets: [served('a1')], grants: [] })
  assert.deepEqual(kinds(steps), ['record', 'withdraw'])
})

test('an old wish about a direct volume takes away who is not in force, and nobody else', () => {
  const steps = plan({ inForce: ['a2'], targets: [TARGET], grants: ['a1'] })
  assert.deepEqual(kinds(steps), ['revoke'])
  assert.equal(steps[0]?.kind === 'revoke' && steps[0].user, 'a1')
})

interface Case extends Partial<Pick<SeenVolume, 'restore'>> {
  readonly inForce: readonly string[]
  readonly targets: readonly ServedTarget[]
  readonly grants: readonly string[]
  readonly sizeBytes?: number
}

function plan({ inForce, targets, grants, restore = null, sizeBytes = 64 * MIB }: Case) {
  const isShared = inForce.length > 1 || grants.length > 1
  const wanted: WantedVolume = {
    ...{ id: ID, sizeBytes, targetIqn: IQN, multiAttach: isShared, deleted: false, source: null },
    grants: grants.map(grantOf),
  }
  const ledger = {
    ...({ version: 1, deleted: false } as const),
    generation: Math.max(...inForce.map((name) => grantOf(name).generation)),
    inForce: inForce.map((name) => {
      const { chapSecret: _, ...rest } = grantOf(name)
      return rest
    }),
  }
  const bytes = { sizeBytes: 64 * MIB, usedBytes: 0 }
  const seen: SeenVolume = { bytes, ledger, restore, file: FILE, shownFile: `${FILE}.shown` }
  const volumes = new Map([[ID, seen]])
  const { volumes: plans } = planVolumes([wanted], {
    ...{ volumes, targets, leftovers: [], nextTid: 7, direct: true },
  })
  return plans[0]?.steps ?? assert.fail('no plan')
}

function grantOf(name: string): Grant {
  const chapSecret = '0'.repeat(32)
  const initiatorIqn = `iqn.2026-01.org.mallee:${name}`
  return {
    attachment: name,
    generation: Number(name.slice(1)),
    initiatorIqn,
    chapUser: name,
    chapSecret,
  }
}

function served(...names: string[]): ServedTarget {
  const initiators = names.map((name) => grantOf(name).initiatorIqn)
  const lun = { lun: 1, serial: ID.replace('-', ''), file: FILE, sizeBytes: 64 * MIB, thin: true }
  return { tid: 1, iqn: IQN, luns: [lun], accounts: names, initiators, sessions: [] }
}

function kinds(steps: readonly VolumeStep[]): string[] {
  return steps.map(({ kind }) => kind)
}
