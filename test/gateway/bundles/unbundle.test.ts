// Bundles: what the tools make comes out as the image, and everything else is refused.

import assert from 'node:assert/strict'
import { createPrivateKey, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createSigningKey } from '../../../common/cms.ts'
import { codeOf, messageOf } from '../../../common/errors.ts'
import { MAX_MANIFEST_BYTES, parseManifest } from '../../../gateway/bundles/manifest.ts'
import { MAX_TAR_EXTRA_BYTES } from '../../../gateway/bundles/tar.ts'
import { unbundle } from '../../../gateway/bundles/unbundle.ts'
import { type Bundle, type BundleWish, makeBundle, tarOf } from '../../support/bundle.ts'

const ACCOUNT = '111122223333'
const { certificatePem, keyPem } = await createSigningKey('test bundles', Date.now())
const KEY = createPrivateKey(keyPem)
const IMAGE = Buffer.concat([
  ...[randomBytes(70_000), Buffer.alloc(1 << 20), randomBytes(5_000)],
  ...Array.from({ length: 60 }, () => [Buffer.alloc(128 << 10), randomBytes(4_096)]).flat(),
  Buffer.alloc(300_000),
])

async function bundleOf(wish: Partial<BundleWish> = {}): Promise<Bundle> {
  const image = IMAGE.subarray(0, 70_000)
  return await makeBundle({ image, account: ACCOUNT, certificatePem, ...wish })
}

async function imageIn({ manifest, parts }: Bundle, key = KEY): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  const open = async function* ({ name }: { name: string }) {
    const bytes = parts.get(name)
    assert.ok(bytes)
    for (let at = 0; at < bytes.length; at += 7_777) yield bytes.subarray(at, at + 7_777)
  }
  for await (const bytes of unbundle(parseManifest(Buffer.from(manifest)), key, open)) {
    pieces.push(bytes)
  }
  return Buffer.concat(pieces)
}

for (const [how, tarFlags] of [
  ['GNU tar', ['--format=gnu']],
  ['GNU tar, with its holes', ['--format=gnu', '-S']],
  ['pax', ['--format=posix']],
  ['ustar', ['--format=ustar']],
] as const) {
  test(`unbundle gives the image that was bundled with ${how}`, async () => {
    const bundle = await bundleOf({ image: IMAGE, tarFlags, partBytes: 50_000 })
    assert.ok(bundle.parts.size > 1)
    assert.ok((await imageIn(bundle)).equals(IMAGE))
  })
}

/** A change of the manifest's text, or of a tar file; and the sentence. */
const CHANGED: readonly (readonly [why: string, from: RegExp, to: string, says: RegExp])[] = [
  ['another root', /<(\/?)manifest>/g, '<$1thing>', /its root is thing/],
  ['no XML', /<manifest>/, '', /is no XML/],
  ['a document type', /<manifest>/, '<!DOCTYPE x><manifest>', /is no XML/],
  ['another CPU', /x86_64/, 'i386', /architecture is i386/],
  ['a path as kernel', /<\/architecture>/, '$&<kernel_id>../k</kernel_id>', /kernel_id is/],
  [
    'two kernels',
    /<\/architecture>/,
    `$&${'<kernel_id>a</kernel_id>'.repeat(2)}`,
    /several kernel_id/,
  ],
  ['another type', /<type>machine/, '<type>floppy', /its image is a floppy/],
  [
    'a kernel and a ramdisk',
    /<\/architecture>/,
    '$&<kernel_id>true</kernel_id><ramdisk_id>true</ramdisk_id>',
    /a kernel and a ramdisk/,
  ],
  [
    'a kernel that has a ramdisk',
    /<\/architecture>/,
    '$&<kernel_id>true</kernel_id><ramdisk_id>ari-1</ramdisk_id>',
    /a kernel and starts from ari-1/,
  ],
  ['no user', /<user>.*<\/user>/, '', /no user/],
  ['two users', /<user>.*<\/user>/, '$&$&', /several user/],
  ['a name as user', /<user>.*<\/user>/, '<user>me</user>', /user is "me"/],
  ['no size', /<size>\d+/, '<size>', /size is ""/],
  ['a size below zero', /<size>\d+/, '<size>-1', /size is "-1"/],
  ['another size', /<size>\d+/, '<size>69999', /70000 bytes, the manifest says 69999/],
  ['a bundled size too small', /<bundled_size>\d+/, '<bundled_size>9', /have not 9 bytes/],
  ['a bundled size too large', /<bundled_size>/, '<bundled_size>9', /parts have not/],
  ['another hash', /algorithm="SHA1"/, 'algorithm="MD5"', /MD5, not SHA1/],
  ['a short digest', /("SHA1">)[0-9a-f]/, '$1', /its digest is/],
  ['another image', /("SHA1">)[0-9a-f]{40}/, `$1${'0'.repeat(40)}`, /the image is not what/],
  [
    'another part',
    /(part\.0<\/filename>.*?"SHA1">)[0-9a-f]{40}/,
    `$1${'0'.repeat(40)}`,
    /the part/,
  ],
  ['a key that is no hex', /(AES-128-CBC">)../, '$1xx', /ec2_encrypted_key is/],
  ['a changed key', /(AES-128-CBC">)..../, '$10000', /not encrypted for|cannot be decrypted/],
  ['no key', /<ec2_encrypted_iv>.*<\/ec2_encrypted_iv>/, '', /no ec2_encrypted_iv/],
  ['no parts', /(<parts count=").*(<\/parts>)/, '$10">$2', /0 parts/],
  ['another count', /parts count="1"/, 'parts count="2"', /says else/],
  ['another index', /part index="0"/, 'part index="1"', /no part 0/],
  ['a path', /<filename>image/, '<filename>../image', /filename is/],
]

test('parseManifest and unbundle refuse every change', async () => {
  const bundle = await bundleOf()
  for (const [why, from, to, says] of CHANGED) {
    const manifest = bundle.manifest.replace(from, to)
    assert.notEqual(manifest, bundle.manifest, why)
    await refused(imageIn({ ...bundle, manifest }), says, why)
  }
  const long = bundle.manifest.replace('</manifest>', `${' '.repeat(MAX_MANIFEST_BYTES)}$&`)
  await refused(imageIn({ ...bundle, manifest: long }), /at most/, 'a long one')
  const many = `<parts count="5000">${'<part index="0"/>'.repeat(5_000)}</parts>`
  const manifest = bundle.manifest.replace(/<parts.*<\/parts>/, many)
  await refused(imageIn({ ...bundle, manifest }), /5000 parts/, 'many parts')
  const other = createPrivateKey((await createSigningKey('other', Date.now())).keyPem)
  await refused(imageIn(bundle, other), /not encrypted for|cannot be decrypted/, 'another key')
})

test('parseManifest says what the image is, and what it starts from', async () => {
  const { manifest } = await bundleOf()
  for (const [type, ids, is] of [
    ['machine', '', { kind: 'machine' }],
    ['machine', '<kernel_id/><ramdisk_id></ramdisk_id>', { kind: 'machine' }],
    ['machine', '<kernel_id>aki-1</kernel_id>', { kind: 'machine', kernel: 'aki-1' }],
    ['machine', '<kernel_id>true</kernel_id>', { kind: 'kernel' }],
    ['machine', '<ramdisk_id>true</ramdisk_id>', { kind: 'ramdisk' }],
    ['kernel', '', { kind: 'kernel' }],
    ['ramdisk', '<ramdisk_id>true</ramdisk_id>', { kind: 'ramdisk' }],
  ] as const) {
    const text = manifest
      .replace('</architecture>', `$&${ids}`)
      .replace('<type>machine', `<type>${type}`)
    const { kind, kernel, ramdisk } = parseManifest(Buffer.from(text))
    const none = { kernel: undefined, ramdisk: undefined }
    assert.deepEqual({ kind, kernel, ramdisk }, { ...none, ...is }, `${type} ${ids}`)
  }
})

test('unbundle refuses a tar file of another kind', async () => {
  const plain = await tarOf(IMAGE.subarray(0, 70_000), ['--format=gnu'])
  const change = (at: number, bytes: string): Buffer => {
    const tar = Buffer.from(plain)
    tar.write(bytes, at, 'latin1')
    return tar
  }
  const link = withSum(change(156, '2'))
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['a changed head', change(0, 'other'), /no tar file/],
    ['a link', link, /of the type "2"/],
    ['two files', Buffer.concat([plain.subarray(0, 70_656 + 0), plain]), /something follows/],
    ['half a file', plain.subarray(0, 40_000), /cut short/],
    ['nothing', Buffer.alloc(0), /cut short/],
    ['no number', withSum(change(124, 'xyz')), /a number that is none/],
    ['a number too large', withSum(change(124, '\xff')), /out of range/],
    ['a long name', withSum(change(156, 'L').fill('7', 124, 135)), /a name of/],
    [
      'more than it should be',
      Buffer.concat([plain, Buffer.alloc(MAX_TAR_EXTRA_BYTES + 1)]),
      /something follows|more than/,
    ],
    ['holes of pax', await tarOf(IMAGE, ['--format=posix', '-S']), /format of pax/],
  ]
  for (const [why, tar, says] of cases) await refused(imageIn(await bundleOf({ tar })), says, why)
})

/** The head's checksum made right. */
function withSum(tar: Buffer): Buffer {
  tar.fill(' ', 148, 156)
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return tar
}

async function refused(image: Promise<unknown>, says: RegExp, why: string): Promise<void> {
  const error = await image.then(
    () => new Error('accepted'),
    (thrown: unknown) => thrown,
  )
  assert.equal(codeOf(error), 'BadArgument', `${why}: ${messageOf(error)}`)
  assert.match(messageOf(error), says, why)
}
