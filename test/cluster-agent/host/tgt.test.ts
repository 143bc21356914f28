// What tgtd is asked in, and what it shows: bytes and texts of tgt 1.0.85. With the real one:
// test/cluster-agent/sc/volumes.test.ts.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  addAccount,
  createTarget,
  listTargets,
  startTgtd,
} from '../../../cluster-agent/host/tgt.ts'
import { decodeAnswer, encodeRequest } from '../../../cluster-agent/host/tgt-request.ts'
import {
  bytesOfMegabytes,
  parseAccounts,
  parseTargets,
  shownMegabytes,
} from '../../../cluster-agent/host/tgt-targets.ts'
import { systemClock } from '../../../common/clock.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { exec } from '../../../common/exec.ts'
import { startHost, whyNoHosts } from '../../support/netns.ts'

const IQN = 'iqn.2026-01.org.mallee:vol-0123456789abcdef0'
const LUN = `            Type: disk
            SCSI ID: IET     00010001
            SCSI SN: vol0123456789abcdef0
            Size: 1074 MB, Block size: 512
            Online: Yes
            Thin-provisioning: Yes
            Backing store type: rdwr
            Backing store path: /v/vol-0123456789abcdef0.raw
`
const CONTROLLER = LUN.replace('1074', '0').replace(/\/v\/.*/, 'None')
const TARGET = `Target 7: ${IQN}
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 3
            Initiator: iqn.2026-01.org.mallee:nc2 alias: none
            Connection: 0
                IP Address: 10.0.0.2
    LUN information:
        LUN: 0
${CONTROLLER}        LUN: 1
${LUN}    Account information:
        a-1
        a-2
    ACL information:
        iqn.2026-01.org.mallee:nc2
`
const EMPTY = TARGET.replace('Target 7', 'Target 8')
  .replace(/ {8}I_T nexus[\s\S]*?(?= {4}LUN info)/, '')
  .replace(/ {8}LUN: 1[\s\S]*?(?= {4}Acc)/, '')
  .replace(/ {8}a-\d\n/g, '')
  .replace(/ {8}iqn.*\n/, '')

test('parseTargets reads targets with all of their parts, and with none', () => {
  const luns = [
    {
      lun: 1,
      serial: 'vol0123456789abcdef0',
      megabytes: 1074,
      file: '/v/vol-0123456789abcdef0.raw',
      thin: true,
    },
  ]
  const sessions = [{ sid: 3, initiator: 'iqn.2026-01.org.mallee:nc2', cids: [0] }]
  const initiators = ['iqn.2026-01.org.mallee:nc2']
  assert.deepEqual(parseTargets(TARGET + EMPTY), [
    { tid: 7, iqn: IQN, luns, accounts: ['a-1', 'a-2'], initiators, sessions },
    { tid: 8, iqn: IQN, luns: [], accounts: [], initiators: [], sessions: [] },
  ])
  assert.deepEqual(parseTargets(''), [])
})

for (const [what, text] of [
  ['no target', 'Session: 3\n'],
  ['a target without a number', TARGET.replace('Target 7', 'Target seven')],
  ['something before the first target', `    Driver: iscsi\n${TARGET}`],
  ['a target without accounts', TARGET.replace('Account', 'Other')],
  ['a logical unit without a size', TARGET.replaceAll(/ +Size.*\n/g, '')],
  ['a size that is none', TARGET.replaceAll('1074 MB', 'much')],
  ['a logical unit without a number', TARGET.replace('LUN: 1', 'LUN: one')],
  ['a session without an initiator', TARGET.replace('Initiator', 'Somebody')],
  ['a session without a number', TARGET.replace('nexus: 3', 'nexus: three')],
] as const) {
  test(`parseTargets refuses ${what}`, () => {
    assert.throws(() => parseTargets(text), /tgtd showed something strange/)
  })
}

test('parseAccounts reads names, and none', () => {
  assert.deepEqual(parseAccounts('Account list:\n    a-1\n    a-2\n'), ['a-1', 'a-2'])
  assert.deepEqual(parseAccounts(''), [])
})

test('bytesOfMegabytes finds the size that is shown: those a MiB apart are shown apart', () => {
  assert.equal(shownMegabytes(2 ** 30), 1074)
  assert.equal(bytesOfMegabytes(1074, 2 ** 30), 2 ** 30)
  assert.equal(bytesOfMegabytes(1075, 2 ** 30), null)
  for (const at of [2 ** 20, 2 ** 30, 2 ** 40, 2 ** 46]) {
    for (let mib = 0; mib < 200; mib += 1) {
      const bytes = at + mib * 2 ** 20
      assert.equal(bytesOfMegabytes(shownMegabytes(bytes), 2 ** 20), bytes)
    }
  }
})

test('encodeRequest makes the struct and the text of usr/tgtadm.h', () => {
  const request = encodeRequest({ mode: 'account', op: 'create', tid: 5, text: 'user=a,b=c' })
  assert.equal(request.length, 120 + 'user=a,b=c\0'.length)
  assert.deepEqual([request.readUInt32LE(0), request.readUInt32LE(4)], [7, 0])
  assert.equal(request.toString('latin1', 8, 14), 'iscsi\0')
  assert.deepEqual([request.readUInt32LE(72), request.readInt32LE(76)], [request.length, 5])
  assert.equal(request.toString('latin1', 120), 'user=a,b=c\0')
  const close = encodeRequest({ mode: 'connection', op: 'delete', tid: 1, sid: 2, cid: 4 })
  assert.deepEqual(
    [close.readUInt32LE(72), close.readUInt32LE(80), close.readUInt32LE(96)],
    [120, 2, 4],
  )
  assert.equal(encodeRequest({ mode: 'target', op: 'show' }).readInt32LE(76), -1)
  for (const text of ['a'.repeat(8 << 10), 'a\0b']) {
    assert.throws(() => encodeRequest({ mode: 'account', op: 'create', text }), /does not take/)
  }
})

test('decodeAnswer reads text, refusals, and what is not whole', () => {
  const answer = (error: number, length: number, text = '') => {
    const head = Buffer.alloc(8)
    head.writeUInt32LE(error, 0)
    head.writeUInt32LE(length, 4)
    return Buffer.concat([head, Buffer.from(text)])
  }
  assert.equal(decodeAnswer(answer(0, 8)), '')
  assert.equal(decodeAnswer(answer(0, 12, 'abc\0')), 'abc')
  assert.equal(decodeAnswer(answer(0, 12, 'ab')), null)
  assert.equal(decodeAnswer(Buffer.alloc(7)), null)
  assert.deepEqual(decodeAnswer(answer(4, 8)), { code: 'NotFound', why: 'no such target' })
  assert.deepEqual(decodeAnswer(answer(99, 8)), {
    code: 'CommandFailed',
    why: 'refused with error 99',
  })
})

test('addAccount refuses a secret that would change the request, and does not say it', async () => {
  const files = { socket: '/nowhere/tgtd' }
  for (const secret of ['', 'a,password=b', 'a\0b', 'a\nb']) {
    await assert.rejects(addAccount(files, { user: 'a', secret }), (error) => {
      assert.equal(codeOf(error), 'BadArgument')
      return secret === '' || !messageOf(error).includes(secret)
    })
  }
  await assert.rejects(
    addAccount(files, { user: 'a', secret: 'a-secret-that-is-one' }),
    (error) => codeOf(error) === 'Unavailable' && !messageOf(error).includes('a-secret'),
  )
})

test('startTgtd refuses a path that no socket can have', async () => {
  const files = { socket: `/${'a'.repeat(110)}`, log: '/nowhere/log' }
  await assert.rejects(
    startTgtd({ exec, clock: systemClock }, files, '127.0.0.1:3260'),
    /too many for a socket/,
  )
})

test('createTarget lets writes come in few pieces, the first ones unasked', {
  skip: whyNoHosts() ?? false,
}, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-tgt-'))
  const host = await startHost('tgt', dir)
  try {
    const { runDir } = host.paths
    const files = { socket: join(runDir, 'tgtd'), log: join(runDir, 'tgtd.log') }
    await startTgtd({ exec: host.exec, clock: systemClock }, files, '127.0.0.1:3260')
    await createTarget(files, { tid: 7, iqn: IQN })
    const show = ['tgtadm', '--lld', 'iscsi', '--mode', 'target', '--op', 'show', '--tid', '7']
    const { stdout } = await host.exec(['env', `TGT_IPC_SOCKET=${files.socket}`, ...show])
    const lines = stdout.split('\n')
    for (const wanted of ['MaxRecvDataSegmentLength=262144', 'InitialR2T=No']) {
      assert.ok(lines.includes(wanted), stdout)
    }
    assert.equal((await listTargets(files)).length, 1)
  } finally {
    await host.stop()
    await rm(dir, { recursive: true, force: true })
  }
})
