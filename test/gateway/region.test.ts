// What a region may be called, and which names are said to be refused elsewhere.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_REGION, isRegion, regionNote } from '../../gateway/region.ts'

test('a new cloud has a region that every tool takes', () => {
  assert.ok(isRegion(DEFAULT_REGION))
  assert.equal(regionNote(DEFAULT_REGION), null)
})

for (const region of ['us-east-1', 'au-office-floor-12', 'us-gov-west-1']) {
  test(`${region} is taken by every tool`, () => {
    assert.ok(isRegion(region))
    assert.equal(regionNote(region), null)
  })
}

for (const region of ['mallee-1', 'office', 'au-1', 'au-office', 'au-office-123', 'eur-office-1']) {
  test(`${region} may be, and is said to be refused by Terraform`, () => {
    assert.ok(isRegion(region))
    assert.match(regionNote(region) ?? '', new RegExp(`Terraform.* ${region},.*${DEFAULT_REGION}$`))
  })
}

for (const region of ['', 'Office', 'a--b', '-a', 'a-', 'a.b', 'a'.repeat(33)]) {
  test(`${JSON.stringify(region)} is no region`, () => {
    assert.equal(isRegion(region), false)
  })
}
