// The XML of requests: what is read, and what is refused before it can do harm.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Element, parseXml } from '../../../../gateway/s3/wire/xml.ts'

function read(text: string): Element {
  return parseXml(Buffer.from(text))
}

test('parseXml reads elements, attributes, text, entities and what stands around them', () => {
  const root = read(
    '\ufeff<?xml version="1.0"?>\r\n<!-- a --><ns0:Delete xmlns:ns0="http://s3/" a=\'"\'>' +
      '<ns0:Key>&lt;&#233;&#x1F428;&amp;<![CDATA[<&]]><!-- b --> c\r\n</ns0:Key><Empty/></ns0:Delete >\n',
  )
  assert.equal(root.name, 'Delete')
  assert.deepEqual([...root.attributes], [['a', '"']])
  const [key, empty] = root.children
  assert.deepEqual([key?.name, key?.text], ['Key', '<é\u{1F428}&<& c\n'])
  assert.deepEqual([empty?.name, empty?.text, empty?.children], ['Empty', '', []])
})

for (const [what, text] of [
  ['nothing', ''],
  ['space', ' \n'],
  ['text', 'hello'],
  ['JSON', '{"a":1}'],
  ['two roots', '<a/><b/>'],
  ['text after the root', '<a/>b'],
  ['an element that is open', '<a><b></b>'],
  ['a tag that is open', '<a'],
  ['ends in another order', '<a><b></a></b>'],
  ['an end too many', '<a/></a>'],
  ['an end of another prefix', '<x:a></y:a>'],
  ['a document type', '<!DOCTYPE a><a/>'],
  ['an entity of its own', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
  ['an entity nobody knows', '<a>&nbsp;</a>'],
  ['a lone ampersand', '<a>b & c</a>'],
  ['a character that is none', '<a>&#xD800;</a>'],
  ['NUL', '<a>&#0;</a>'],
  ['a processing instruction', '<a><?php echo 1 ?></a>'],
  ['an attribute twice', '<a b="1" b="2"/>'],
  ['an attribute without quotes', '<a b=1/>'],
  ['an attribute with a tag in it', '<a b="<"/>'],
  ['no space between attributes', '<a b="1"c="2"/>'],
  ['seventeen attributes', `<a ${numbered(17)}/>`],
  ['a comment that is open', '<a><!-- </a>'],
  ['a hundred levels', '<a>'.repeat(100) + '</a>'.repeat(100)],
  ['too many elements', `<a>${'<b/>'.repeat(100_001)}</a>`],
] as const) {
  test(`parseXml refuses ${what}`, () => {
    assert.throws(() => read(text), { code: 'MalformedXML', status: 400 })
  })
}

test('parseXml refuses bytes that are no UTF-8', () => {
  const bytes = Buffer.concat([Buffer.from('<a>'), Buffer.from([0xff]), Buffer.from('</a>')])
  assert.throws(() => parseXml(bytes), { code: 'MalformedXML' })
})

function numbered(count: number): string {
  return Array.from({ length: count }, (_, i) => `a${i}="1"`).join(' ')
}
