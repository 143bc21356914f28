// What the tables of hosts say of one that is special.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noteOf } from '../../../gateway/cli/rack.ts'

const HOST = { simulated: false, cordoned: false, drained: false, lost: false, trouble: '' }
const STORE = { portal: '[fd00::1]:3260', backend: 'files', sizeBytes: 9, roomBytes: 9 }

for (const [what, change, note] of [
  ['nothing', {}, ''],
  ['volumes with snapshots', { volumes: { ...STORE, snapshots: true } }, ''],
  ['volumes without', { volumes: { ...STORE, snapshots: false } }, 'volumes without snapshots'],
  ['no volumes now', { volumes: { ...STORE, sizeBytes: 0, snapshots: false } }, ''],
  ['a drain and trouble', { cordoned: true, drained: true, trouble: 't' }, 'being drained; t'],
] as const) {
  test(`noteOf a host with ${what} is ${JSON.stringify(note)}`, () => {
    assert.equal(noteOf({ ...HOST, ...change }), note)
  })
}
