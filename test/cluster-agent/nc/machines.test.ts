// All machines of a host on which QEMU never starts.

import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { MAX_START_FAILURES } from '../../../cluster-agent/nc/machine-plan.ts'
import { Machines } from '../../../cluster-agent/nc/machines.ts'
import type { MachineWanted } from '../../../cluster-agent/nc/wanted.ts'
import { codeOf } from '../../../common/errors.ts'
import type { Exec } from '../../../common/exec.ts'
import { silentLog } from '../../../common/log.ts'
import { InstanceState } from '../../../proto/gen/mallee/v1/observed_pb.js'
import { fileImages } from '../../support/file-images.ts'
import { testImage } from '../images/support.ts'
import { lazyParts } from './guests.ts'

const IMAGE = testImage(1)
const QEMU = 'qemu-system-x86_64'

let dir = ''
let starts = 0
let nowMs = 0

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mallee-machines-'))
  starts = 0
  nowMs = 1_700_000_000_000
})

afterEach(() => rmSync(dir, { recursive: true }))

/** A host whose QEMU never starts; refuses every command that it does not know. */
const brokenHost: Exec = async (argv, options = {}) => {
  const done = (stdout = '') => ({ stdout, stderr: '', code: 0 })
  const [program, word] = argv
  if (program === QEMU && word === '-machine') return done('q35   Q35 (alias of pc-q35-7.2)\n')
  if (program === 'qemu-img' && word === 'info') return done('{"virtual-size": 0}')
  if (program === 'qemu-img' && word === 'create') return done()
  if (program === 'setsid' && argv[2] === QEMU) {
    starts += 1
    appendFileSync(options.outputFile ?? '', `${QEMU}: warning: old\n${QEMU}: no memory\n`)
    return done()
  }
  throw new Error(`unexpected ${argv.join(' ')}`)
}

function newMachines(reserveBytes = 0): Machines {
  const paths = { stateDir: dir, runDir: dir, configFile: '' }
  const clock = { nowMs: () => nowMs, sleep: async () => undefined }
  const file = join(dir, 'image')
  writeFileSync(file, IMAGE.bytes)
  const images = fileImages({ file, list: IMAGE.list }, join(dir, 'images'), { reserveBytes })
  const parts = { exec: brokenHost, paths, ...lazyParts(images, paths), clock, log: silentLog }
  const host = { accelerator: 'tcg', offloads: false, bootId: 'boot' } as const
  return new Machines({ ...parts, ...host }, 'node-1')
}

const wanted = (n: number, missing: readonly string[] = []): MachineWanted => ({
  id: `i-0000000000000000${n}`,
  power: 'running',
  vcpus: 1,
  memoryMib: 128,
  diskGib: 1,
  uuid: `ec2-${n}`,
  rebootCount: 0,
  startCount: 0,
  forceStop: false,
  image: { ...IMAGE.ref, format: 'raw', sizeBytes: 1 },
  kernel: null,
  volumes: [],
  ephemeral: [],
  nics: [],
  missing,
  missingToStart: [],
})

function told(machines: Machines) {
  return machines.statuses().map(({ body }) => {
    assert.equal(body.case, 'instance')
    const { state, reasonCode, sinceMs } = body.value
    return [InstanceState[state], reasonCode, Number(sinceMs)]
  })
}

test('Machines gives a machine up that does not start, and tells since when', async () => {
  const machines = newMachines()
  const firstMs = nowMs
  for (let n = 1; n < MAX_START_FAILURES; n += 1) {
    await assert.rejects(machines.pass([wanted(1)]), /i-00000000000000001: .*no memory/)
    assert.deepEqual(told(machines), [['PENDING', '', firstMs]])
    nowMs += 1_000
  }
  await assert.rejects(machines.pass([wanted(1)]), /no memory/)
  const gaveUp = [['STOPPED', 'Server.InternalError', nowMs]]
  assert.deepEqual(told(machines), gaveUp)
  nowMs += 60_000
  await machines.pass([wanted(1)])
  await newMachines().pass([wanted(1)])
  assert.deepEqual(told(machines), gaveUp)
  assert.equal(starts, MAX_START_FAILURES)
})

test('Machines.pass goes on with the others when one cannot be made', async () => {
  const machines = newMachines()
  await assert.rejects(machines.pass([wanted(1, ['network/subnet-1']), wanted(2)]))
  assert.equal(starts, 1)
  assert.equal(machines.statuses().length, 2)
  assert.deepEqual([...(machines.imagesInUse() ?? [])], [IMAGE.ref.sha256])
})

test('Machines ends one whose image has no room, and makes its disk when it is to start', async () => {
  await assert.rejects(newMachines(2 ** 50).pass([wanted(1)]), { code: 'StoreFull' })
  const machines = newMachines(2 ** 50)
  await machines.pass([wanted(1)])
  assert.deepEqual(told(machines), [['STOPPED', 'Server.InsufficientInstanceCapacity', nowMs]])
  assert.deepEqual([...(machines.imagesInUse() ?? [])], [], 'it has no disk')
  const roomy = newMachines()
  await roomy.pass([wanted(1)])
  assert.equal(starts, 0, 'not by itself')
  await assert.rejects(roomy.pass([{ ...wanted(1), startCount: 1 }]), /no memory/)
  assert.equal(starts, 1)
  assert.deepEqual([...(roomy.imagesInUse() ?? [])], [IMAGE.ref.sha256])
})

test('Machines refuses an id that would leave its folder', async () => {
  const evil = { ...wanted(1), id: 'i-0/../../../etc' }
  await assert.rejects(newMachines().pass([evil]), (error) => {
    assert.equal(codeOf(error), 'BadMessage')
    return true
  })
})
