// What is to be done about a machine, case by case.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ended, MachineFile } from '../../../cluster-agent/nc/machine-file.ts'
import {
  type MachineSeen,
  planMachine,
  SHUTDOWN_MS,
} from '../../../cluster-agent/nc/machine-plan.ts'
import type { MachineWanted } from '../../../cluster-agent/nc/wanted.ts'
import { nicOf, station } from './stations.ts'

const BOOT = 'boot-2'
const NOW_MS = 1_000_000

/** Each row: what is the case; the wish; machine.json, process, pressed; the plan. */
const ROWS: readonly [string, string, string, string][] = [
  ['nothing is there', 'running', 'no-file none', 'create > start'],
  ['the folder is half made', 'running', 'folder none', 'create > start'],
  ['the disk is there', 'running', 'created none', 'start'],
  ['the agent died after the start', 'running', 'created running', 'record-start'],
  ['all is as it shall be', 'running', 'started running', ''],
  ['somebody holds the monitor', 'running', 'started stuck', ''],
  ['it is stuck and a reset is due', 'running 1', 'started stuck', 'record-reboot > kill > start'],
  ['it is stuck before it can read', 'running 1', 'lazy-unserved stuck', 'serve-image'],
  ['QEMU is gone', 'running', 'started none', 'record-end:failure:ended unexpectedly'],
  ['the host restarted', 'running', 'old-boot none', 'start'],
  ['the guest powered off', 'running', 'started shutdown', 'record-end:guest > quit'],
  ['the CPU state is lost', 'running', 'started internal-error', 'record-end:failure > quit'],
  ['the disk was full', 'running', 'started io-error', 'resume'],
  ['it powered off before', 'running', 'by-guest none', ''],
  ['it powered off and QEMU stays', 'running', 'by-guest shutdown', 'quit'],
  ['it died before', 'running', 'by-failure none', ''],
  ['it was stopped by a wish', 'running', 'by-wish none', 'start'],
  ['it powered off and is to start', 'running again', 'by-guest none', 'start'],
  ['it died and is to start', 'running again', 'by-failure none', 'start'],
  ['it powered off, QEMU stays and it is to start', 'running again', 'by-guest shutdown', 'quit'],
  ['it runs already', 'running again', 'started running', ''],
  ['one reset is due', 'running 1', 'started running', 'reset:1'],
  ['resets that were missed are one', 'running 3', 'started running', 'reset:3'],
  ['an interface came', 'running nic-a,nic-b', 'started running nics nic-a', 'plug-nic:nic-b'],
  ['an interface went', 'running nic-a', 'started running nics nic-a,nic-b', 'unplug-nic:nic-b'],
  ['one is not known yet', 'running nic-a missing', 'started running nics nic-b', ''],
  ['it shall stop', 'stopped', 'started running', 'press-power-button'],
  ['it is stopping', 'stopped', 'started running pressed', ''],
  ['it does not stop', 'stopped', 'started running ignored', 'record-end:wish > quit'],
  ['it has stopped', 'stopped', 'started shutdown', 'record-end:wish > quit'],
  ['it is stopped', 'stopped', 'by-wish none', ''],
  ['it runs and shall not be asked', 'stopped forced', 'started running', 'record-end:wish > quit'],
  ['it is stuck', 'stopped', 'started stuck', ''],
  [
    'it is stuck and shall not be asked',
    'stopped forced',
    'started stuck',
    'record-end:wish > kill',
  ],
  ['it died and shall be stopped', 'stopped', 'by-failure none', 'record-end:wish'],
  ['it never was', 'stopped', 'no-file none', ''],
  ['it runs and shall be gone', 'terminated', 'started running', 'quit > remove'],
  ['it is stuck and shall be gone', 'terminated', 'started stuck', 'kill > remove'],
  ['a half made one shall be gone', 'terminated', 'folder none', 'remove'],
  ['it is gone', 'terminated', 'no-file none', ''],
  [
    'the agent is new and its guest reads',
    'running 1',
    'lazy-unserved running',
    'serve-image > reset',
  ],
  ['it is stuck as long as it reads', 'running', 'lazy-unserved stuck', 'serve-image'],
  ['its image still comes', 'running', 'lazy-served running', ''],
  ['its image is whole', 'running', 'lazy-whole running', 'swap-image'],
  ['its image is whole and it is stuck', 'running', 'lazy-whole stuck', ''],
  ['it powered off and its image is whole', 'running', 'lazy-whole shutdown', 'record-end > quit'],
  ['it shall stop and has to read', 'stopped', 'lazy-unserved running', 'serve-image > press'],
  ['it shall be gone and would read', 'terminated', 'lazy-unserved running', 'quit > remove'],
  ['QEMU is gone and its image comes', 'running', 'lazy-served none', 'record-end:failure'],
  ['there was no room for its disk', 'running', 'diskless none', ''],
  ['there was no room and it is to start', 'running again', 'diskless none', 'create > start'],
  ['nobody knows it', 'null', 'started running', 'quit > remove'],
]

for (const [what, wish, seen, want] of ROWS) {
  test(`planMachine, ${wish}: ${what}`, () => {
    const steps = planMachine(wanted(wish), seenOf(seen)).map((step) => {
      if (step.kind === 'reset') return `reset:${step.rebootCount}`
      if (step.kind === 'plug-nic' || step.kind === 'unplug-nic') {
        return `${step.kind}:${step.nic.mac}`
      }
      if (step.kind !== 'record-end') return step.kind
      return `record-end:${step.ended.by}:${step.ended.message}`
    })
    const words = want.split(' > ').filter((word) => word !== '')
    assert.equal(steps.length, words.length, steps.join(', '))
    for (const [index, word] of words.entries()) assert.ok(includes(steps[index] ?? '', word), word)
  })
}

/** `record-end:failure:host` is in `record-end:failure:The host of…`. */
function includes(step: string, word: string): boolean {
  const [kind = '', by = '', text = ''] = word.split(':')
  return step.startsWith([kind, by].filter((part) => part !== '').join(':')) && step.includes(text)
}

function wanted(text: string): MachineWanted | null {
  const [power = '', more = '0', missing] = text.split(' ')
  if (power === 'null') return null
  const macs = more.startsWith('nic-') ? more.split(',') : []
  const isCount = /^[0-9]+$/.test(more)
  return {
    id: 'i-1',
    power: power as MachineWanted['power'],
    rebootCount: isCount ? Number(more) : 0,
    startCount: more === 'again' ? 1 : 0,
    forceStop: more === 'forced',
    vcpus: 1,
    memoryMib: 128,
    diskGib: 1,
    uuid: 'ec2',
    image: { sha256: 'digest', listSha256: '', format: 'raw', sizeBytes: 1 },
    kernel: null,
    volumes: [],
    ephemeral: [],
    nics: macs.map((mac) => nicOf(station(1), { mac })),
    missing: missing === undefined ? [] : ['interface/eni-1'],
    missingToStart: [],
  }
}

function seenOf(text: string): MachineSeen {
  const [file = '', process = '', word = '', macs = ''] = text.split(' ')
  const pressed = word === 'nics' ? '' : word
  const nics = macs.split(',').flatMap((mac) => {
    return mac === '' ? [] : [{ device: mac, netdev: mac, mac }]
  })
  return {
    folder: file !== 'no-file',
    file: fileOf(file),
    process:
      process === 'none' || process === 'stuck'
        ? process
        : { runState: process, nics, volumes: [], ephemeral: [] },
    lazy: lazyOf(file),
    bootId: BOOT,
    pressedAtMs: pressed === '' ? null : NOW_MS - (pressed === 'ignored' ? SHUTDOWN_MS : 1),
    nowMs: NOW_MS,
  }
}

/** `lazy-…`: its QEMU reads an image that is not served, served, or whole. */
function lazyOf(file: string): MachineSeen['lazy'] {
  const how = /^lazy-(.*)$/.exec(file)?.[1]
  return how === undefined ? null : { served: how !== 'unserved', whole: how === 'whole' }
}

function fileOf(text: string): MachineFile | null {
  if (text === 'no-file' || text === 'folder') return null
  const named = text === 'diskless' ? 'by-failure' : text
  const by = /^by-(.*)$/.exec(named)?.[1] as Ended['by'] | undefined
  return {
    version: 1,
    imageSha256: 'digest',
    machineType: 'pc-q35-7.2',
    rebootCount: 0,
    startedBootId: text === 'created' ? null : text === 'old-boot' ? 'boot-1' : BOOT,
    startFailures: 0,
    ...(text === 'diskless' ? { diskless: true } : {}),
    ended: by === undefined ? null : { by, code: 'code', message: 'message', atMs: 0 },
  }
}
