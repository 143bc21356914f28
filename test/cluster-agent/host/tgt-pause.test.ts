// A real tgtd that is held still, by agents that end at the wrong moment.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as tgt from '../../../cluster-agent/host/tgt.ts'
import { resumeTgtd, whileTgtdPauses } from '../../../cluster-agent/host/tgt-pause.ts'
import { systemClock } from '../../../common/clock.ts'
import { until } from '../../../sandbox/until.ts'
import { type SimulatedHost, startHost, whyNoHosts } from '../../support/netns.ts'

const AGENT = join(import.meta.dirname, 'pausing-agent.ts')

describe('a tgtd that is held still', { skip: whyNoHosts() ?? false }, () => {
  let dir: string
  let host: SimulatedHost
  let files: tgt.TgtdFiles
  let pid: string

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mallee-tgt-pause-'))
    host = await startHost('sc', dir)
    const { runDir } = host.paths
    files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    await tgt.startTgtd({ exec: host.exec, clock: systemClock }, files, '[::1]:3260')
    pid = String(await tgt.tgtdPid(host.exec, files))
  })
  after(async () => {
    await host?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const isStill = async () =>
    (await host.exec(['ps', '-o', 'state=', '-p', pid])).stdout.trim() === 'T'
  const goesOn = () => until('tgtd goes on', async () => !(await isStill()))
  const parts = (mostS: number) => ({ exec: host.exec, clock: systemClock, mostS })

  test('is so while something runs, and nobody guards it then', async () => {
    assert.equal(await whileTgtdPauses(parts(60), files, isStill), true)
    assert.equal(await isStill(), false)
    const { stdout } = await host.exec(['ps', '-eo', 'args'])
    assert.doesNotMatch(stdout, /sleep 60/)
    await assert.rejects(
      whileTgtdPauses(parts(60), files, () => Promise.reject(new Error('no room'))),
      /no room/,
    )
    assert.equal(await isStill(), false)
  })

  test('goes on by itself when its agent dies', async () => {
    const argv = [AGENT, String(host.pid), files.socket, '2']
    const agent = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(agent.stdout, 'data')
    agent.kill('SIGKILL')
    await once(agent, 'exit')
    assert.equal(await isStill(), true)
    await goesOn()
  })

  test('goes on with the next agent', async () => {
    await host.exec(['kill', '-STOP', pid])
    await resumeTgtd(host.exec, files)
    await goesOn()
  })

  test('is not so for what takes longer than it may', async () => {
    const late = whileTgtdPauses(parts(1), files, goesOn)
    await assert.rejects(late, /stood still for 1 s, which was not enough/)
  })
})
