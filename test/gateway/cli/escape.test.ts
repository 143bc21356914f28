// The way out of a terminal whose every key goes to an instance.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { escapeReader } from '../../../gateway/cli/escape.ts'

for (const [typed, sent, leaves] of [
  ['ls\r', 'ls\r', false],
  ['~.', '', true],
  ['ls\r~.rest', 'ls\r', true],
  ['ls\n~.', 'ls\n', true],
  ['a~.', 'a~.', false],
  ['~~.', '~.', false],
  ['\r~~/\r', '\r~/\r', false],
  ['~a', '~a', false],
  ['\r~\r~.', '\r~\r', true],
  ['\xff\x00\x1b[A', '\xff\x00\x1b[A', false],
] as const) {
  test(`${JSON.stringify(typed)} sends ${JSON.stringify(sent)}${leaves ? ' and leaves' : ''}`, () => {
    for (const size of [1, 2, typed.length]) {
      const read = escapeReader()
      let all = ''
      let isLeft = false
      for (let at = 0; at < typed.length && !isLeft; at += size) {
        const keys = read(Buffer.from(typed.slice(at, at + size), 'latin1'))
        all += keys.send.toString('latin1')
        isLeft = keys.leaves
      }
      assert.deepEqual([all, isLeft], [sent, leaves], `in pieces of ${size}`)
    }
  })
}
