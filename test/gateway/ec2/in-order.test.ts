// The heap behind pages: every entry once, in order, and no more work than somebody looks at.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { inOrder } from '../../../gateway/ec2/in-order.ts'

test('inOrder yields every entry once, smallest cursor first', () => {
  const cursors = fc.uniqueArray(fc.string({ maxLength: 4 }), { maxLength: 60 })
  fc.assert(
    fc.property(cursors, (all) => {
      const entries = all.map((cursor) => ({ cursor, item: cursor.length }))
      const seen = [...inOrder(entries)]
      assert.deepEqual(
        seen.map(({ cursor }) => cursor),
        all.toSorted((a, b) => (a < b ? -1 : 1)),
      )
      for (const { cursor, item } of seen) assert.equal(item, cursor.length)
    }),
  )
})
