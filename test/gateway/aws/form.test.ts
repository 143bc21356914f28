// Form bodies and query strings as clients send them, and as attackers would.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../../gateway/aws/api-error.ts'
import { MAX_PARAMETERS, ownParameters, parseForm, treeOf } from '../../../gateway/aws/form.ts'

for (const [text, want] of [
  ['', {}],
  ['a=1&b=2', { a: '1', b: '2' }],
  ['&a=1&&b', { a: '1', b: '' }],
  ['a=b=c', { a: 'b=c' }],
  ['a%2E1=x+y%2B%C3%A9', { 'a.1': 'x y+é' }],
  ['__proto__=1&constructor=2', { ['__proto__']: '1', constructor: '2' }],
] as const) {
  test(`parseForm reads ${JSON.stringify(text)}`, () => {
    assert.deepEqual([...parseForm(text)], Object.entries(want))
  })
}

for (const [what, text] of [
  ['an escape that ends early', 'a=%4'],
  ['an escape that is no UTF-8', 'a=%FF'],
  ['an escape in a name', '%zz=1'],
  ['one name twice', 'a=1&a=2'],
  ['one name twice, escaped differently', 'a=1&%61=2'],
  ['too many parameters', Array.from({ length: MAX_PARAMETERS + 1 }, (_, i) => `p${i}`).join('&')],
] as const) {
  test(`parseForm refuses ${what}`, () => {
    assert.throws(() => parseForm(text), { code: 'MalformedQueryString', status: 400 })
  })
}

test('parseForm refuses a name that another string already had', () => {
  const query = parseForm('Action=DescribeVpcs')
  assert.throws(() => parseForm('Action=DeleteVpc', query), { code: 'MalformedQueryString' })
})

test('ownParameters leaves out what every request has', () => {
  const all = parseForm('Action=A&Version=1&X-Amz-Date=2&AWSAccessKeyId=3&VpcId=v&Filter.1.Name=n')
  assert.deepEqual([...ownParameters(all).keys()], ['VpcId', 'Filter.1.Name'])
})

test('treeOf refuses names nested 33 deep', () => {
  const deep = (parts: number) => new Map([[Array(parts).fill('a').join('.'), 'x']])
  assert.doesNotThrow(() => treeOf(deep(32)))
  assert.throws(() => treeOf(deep(33)), ApiError)
})
