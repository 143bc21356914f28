// What is to be done about a machine's volumes: case by case, and over lives in which the agent is
// cut off after any step.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { QemuVolume, SeenVolume } from '../../../cluster-agent/host/qemu-volumes.ts'
import {
  type MachineStep,
  planMachine,
  type RunningProcess,
} from '../../../cluster-agent/nc/machine-plan.ts'
import { planFirstDisks, planVolumes } from '../../../cluster-agent/nc/volume-plan.ts'
import type { MachineWanted } from '../../../cluster-agent/nc/wanted.ts'
import { keyOf, MachineModel, numbersOf } from './machine-model.ts'

const EPHEMERAL = { name: 'ephemeral0', sizeBytes: 1 }
const NO_DISKS = { volumes: [], ephemeral: [] }

/** `a1`: volume a, generation 1; `a1+` is larger, `a1!` has other limits, `a1?` is half plugged. */
const ROWS: readonly [string, string, string, string][] = [
  ['nothing is wanted', '', '', ''],
  ['one came', 'a1', '', 'plug a1'],
  ['it is there', 'a1', 'a1', ''],
  ['one went, another came', 'b1', 'a1', 'unplug a1, plug b1'],
  ['it was attached anew', 'a2', 'a1', 'unplug a1, plug a2'],
  ['the agent died while it was plugged', 'a1', 'a1?', 'plug a1'],
  ['the agent died while it was unplugged', '', 'a1?', 'unplug a1'],
  ['it grew', 'a1+', 'a1', 'resize a1'],
  ['it does not shrink', 'a1', 'a1+', ''],
  ['it has other limits', 'a1!', 'a1', 'limit a1'],
]

for (const [what, wanted, seen, want] of ROWS) {
  test(`planVolumes: ${what}`, () => {
    const steps = planVolumes(
      { volumes: words(wanted).map(volumeOf), ephemeral: [] },
      { volumes: words(seen).map(seenOf), ephemeral: [] },
    )
    assert.equal(steps.map(textOf).join(', '), want)
  })
}

const FIRST: readonly [string, string, string, string][] = [
  ['it starts', 'a1 b1', '', 'plug a1, plug b1, begin'],
  ['the agent died after the first', 'a1 b1', 'a1', 'plug b1, begin'],
  ['the agent died within the first', 'a1 b1', 'a1?', 'plug a1, plug b1, begin'],
  ['the agent died within one that is not wanted any more', 'a1', 'a1 b1?', 'unplug b1, begin'],
  ['all are there', 'a1 b1', 'a1 b1', 'begin'],
  ['another one is the first now', 'b1 a1', 'a1', 'quit, start'],
  ['one is not wanted any more', 'b1', 'a1', 'quit, start'],
]

for (const [what, wanted, seen, want] of FIRST) {
  test(`planFirstDisks: ${what}`, () => {
    const steps = planFirstDisks(
      { volumes: words(wanted).map(volumeOf), ephemeral: [] },
      { volumes: words(seen).map(seenOf), ephemeral: [] },
    )
    assert.equal(steps.map(textOf).join(', '), want)
  })
}

test('planFirstDisks: an ephemeral disk comes after the volumes', () => {
  const wanted = { volumes: [volumeOf('a1')], ephemeral: [EPHEMERAL] }
  const kinds = (process: Pick<RunningProcess, 'volumes' | 'ephemeral'>) =>
    planFirstDisks(wanted, process).map(textOf).join(', ')
  assert.equal(kinds(NO_DISKS), 'plug a1, plug-ephemeral, begin')
  assert.equal(kinds({ volumes: [], ephemeral: ['ephemeral0'] }), 'quit, start')
  assert.equal(kinds({ volumes: [seenOf('a1')], ephemeral: ['ephemeral0'] }), 'begin')
})

test('planMachine: a guest that keeps a volume is reset by a new start, without it', () => {
  const machine = new MachineModel()
  machine.live([wish(['a1'])], [])
  assert.equal(machine.state(), 'running a1')
  machine.isBusy = true
  const reboot = { ...wish([]), rebootCount: 1 }
  const kinds = planMachine(reboot, machine.seen()).map(({ kind }) => kind)
  assert.deepEqual(kinds, ['record-reboot', 'quit', 'start'])
  machine.live([reboot], [])
  assert.equal(machine.state(), 'running ')
})

test('planMachine: a machine that waits for its disks is stopped without being asked', () => {
  const machine = new MachineModel()
  machine.live([wish(['a1'])], [2])
  assert.equal(machine.state(), 'prelaunch ')
  const stop = { ...wish(['a1']), power: 'stopped' } as const
  const kinds = planMachine(stop, machine.seen()).map(({ kind }) => kind)
  assert.deepEqual(kinds, ['record-end', 'quit'])
})

test('planMachine: whatever was wished and cut off, a machine ends with what it shall have', () => {
  const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 })
  const suffixes = fc.array(fc.constantFrom('1', '2', '3', '1+', '2!'), {
    minLength: 3,
    maxLength: 3,
  })
  const wishes = fc
    .tuple(names, suffixes, fc.boolean())
    .map(([all, ends, isRunning]): MachineWanted => {
      const power = isRunning ? 'running' : 'stopped'
      return { ...wish(all.map((name, n) => name + ends[n])), power }
    })
  const cuts = fc.array(fc.nat(6), { maxLength: 6 })
  const lives = fc.tuple(fc.array(wishes, { minLength: 1, maxLength: 4 }), cuts)
  fc.assert(
    fc.property(lives, fc.array(fc.boolean(), { maxLength: 4 }), ([all, cut], busy) => {
      const machine = new MachineModel()
      for (const [n, one] of all.entries()) {
        machine.isBusy = busy[n] === true
        machine.live([one], cut.slice(n))
      }
      machine.isBusy = false
      const last = { ...wish([]), ...all.at(-1), power: 'running', startCount: 1 } as const
      machine.live([last, last, last, last], [])
      assert.deepEqual(planMachine(last, machine.seen()), [])
      const seen = machine.process()?.volumes.map(keyOf).sort()
      assert.deepEqual(seen, last.volumes.map(keyOf).sort())
    }),
    { numRuns: 300 },
  )
})

function wish(volumes: readonly string[]): MachineWanted {
  return {
    ...{ id: 'i-1', power: 'running', vcpus: 1, memoryMib: 1, diskGib: 1, uuid: 'ec2' },
    ...{ rebootCount: 0, startCount: 0, forceStop: false, image: null, kernel: null, nics: [] },
    ...{ volumes: volumes.map(volumeOf), ephemeral: [], missing: [], missingToStart: [] },
  }
}

function volumeOf(word: string): QemuVolume {
  const [, name = '', generation = ''] = /^([a-z])(\d)/.exec(word) ?? []
  return {
    ...{ volumeId: name, attachment: `attach-${word}`, generation: Number(generation) },
    ...{
      portal: '',
      targetIqn: '',
      lun: 1,
      initiatorIqn: '',
      chapUser: '',
      chapSecret: '',
      rbd: null,
    },
    ...{ serial: '', isBoot: false, encryptionKey: null, bytesPerS: 0 },
    sizeBytes: word.endsWith('+') ? 2 : 1,
    iops: word.endsWith('!') ? 1 : 0,
  }
}

function seenOf(word: string): SeenVolume {
  const { volumeId, generation, attachment, ...rest } = volumeOf(word)
  const whose = { volumeId, generation, attachment: word.endsWith('?') ? null : attachment }
  return { ...whose, slot: 1, ...numbersOf(rest) }
}

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}

function textOf(step: MachineStep): string {
  return 'volume' in step ? `${step.kind.replace('-volume', '')} ${keyOf(step.volume)}` : step.kind
}
