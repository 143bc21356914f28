// The JPEG encoder. The digests are of files that an independent decoder read back within 6 of 255
// of each colour; every later change of a byte has to show that again.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { encodeJpeg } from '../../cluster-agent/jpeg/encode.ts'
import { parsePixmap } from '../../cluster-agent/nc/screenshot.ts'
import { codeOf } from '../../common/errors.ts'

/** Sides that are no multiples of a block; slopes and edges. */
function picture(width: number, height: number) {
  const rgb = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const isLit = (x >> 3) % 2 === (y >> 3) % 2
      rgb.set([x & 0xff, (y * 2) & 0xff, isLit ? 255 : 0], (y * width + x) * 3)
    }
  }
  return { width, height, rgb }
}

for (const [width, height, digest] of [
  [203, 101, '3aa56a5e1e9ecd6c'],
  [1, 1, '595204d5020e5cb8'],
] as const) {
  test(`encodeJpeg of ${width} by ${height} is the file that was read back`, () => {
    const file = encodeJpeg(picture(width, height))
    assert.equal(Buffer.from(file.subarray(0, 11)).toString('latin1'), 'ÿØÿà\0\x10JFIF\0')
    assert.equal(Buffer.from(file.subarray(-2)).toString('hex'), 'ffd9')
    assert.equal(createHash('sha256').update(file).digest('hex').slice(0, 16), digest)
  })
}

test('encodeJpeg refuses what is no picture', () => {
  for (const [width, height, bytes] of [
    [0, 1, 3],
    [2, 2, 11],
    [65_536, 1, 3 * 65_536],
  ] as const) {
    assert.throws(() => encodeJpeg({ width, height, rgb: new Uint8Array(bytes) }), RangeError)
  }
})

test('parsePixmap reads what QEMU writes, and nothing else', () => {
  const pixels = [1, 2, 3, 4, 5, 6]
  const file = Buffer.concat([Buffer.from('P6\n2 1\n255\n'), Buffer.from(pixels)])
  const { width, height, rgb } = parsePixmap(file)
  assert.deepEqual([width, height, [...rgb]], [2, 1, pixels])
  for (const bad of [file.subarray(0, -1), Buffer.from('P5\n2 1\n255\n'), Buffer.alloc(0)]) {
    assert.throws(
      () => parsePixmap(bad),
      (error) => codeOf(error) === 'BadMessage',
    )
  }
})
