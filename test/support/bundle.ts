// Makes bundles as the AMI tools and euca2ools do: GNU tar, gzip, AES, parts, and a manifest whose
// key is encrypted for a certificate.

import {
  constants,
  createCipheriv,
  createHash,
  createPublicKey,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { exec } from '../../common/exec.ts'

export interface Bundle {
  readonly manifest: string
  readonly parts: ReadonlyMap<string, Buffer>
}

export interface BundleWish {
  readonly image: Uint8Array
  readonly account: string
  readonly certificatePem: string
  readonly partBytes?: number
  /** Within the manifest's machine_configuration. */
  readonly machine?: string
  /** Arguments of tar besides the file; `-S` looks for holes. */
  readonly tarFlags?: readonly string[]
  /** Instead of the tar file of the image. */
  readonly tar?: Uint8Array
}

const NAME = 'image'
/** Both tools'. */
const PART_BYTES = 10 << 20

export async function makeBundle(wish: BundleWish): Promise<Bundle> {
  const { image, account, certificatePem, partBytes = PART_BYTES } = wish
  const tar = wish.tar ?? (await tarOf(image, wish.tarFlags ?? []))
  const [key, iv] = [randomBytes(16), randomBytes(16)]
  const cipher = createCipheriv('aes-128-cbc', key, iv)
  const bundled = Buffer.concat([cipher.update(gzipSync(tar)), cipher.final()])
  const parts = new Map<string, Buffer>()
  for (let at = 0; at < bundled.length; at += partBytes) {
    parts.set(`${NAME}.part.${parts.size}`, bundled.subarray(at, at + partBytes))
  }
  const forCloud = (secret: Buffer) => sealedFor(certificatePem, secret.toString('hex'))
  const listed = [...parts].map(([name, bytes], i) => {
    const digest = `<digest algorithm="SHA1">${sha1(bytes)}</digest>`
    return `<part index="${i}"><filename>${name}</filename>${digest}</part>`
  })
  const manifest = [
    '<?xml version="1.0" encoding="UTF-8"?><manifest><version>2007-10-10</version>',
    '<bundler><name>euca2ools</name><version>3.0.1</version><release>0</release></bundler>',
    '<machine_configuration><architecture>x86_64</architecture>',
    `${wish.machine ?? ''}</machine_configuration>`,
    `<image><name>${NAME}</name><user>${account}</user>`,
    `<digest algorithm="SHA1">${sha1(tar)}</digest>`,
    `<size>${image.length}</size><bundled_size>${bundled.length}</bundled_size>`,
    '<type>machine</type>',
    `<ec2_encrypted_key algorithm="AES-128-CBC">${forCloud(key)}</ec2_encrypted_key>`,
    '<user_encrypted_key algorithm="AES-128-CBC">00</user_encrypted_key>',
    `<ec2_encrypted_iv>${forCloud(iv)}</ec2_encrypted_iv><user_encrypted_iv>00</user_encrypted_iv>`,
    `<parts count="${parts.size}">${listed.join('')}</parts></image>`,
    '<signature>00</signature></manifest>',
  ].join('')
  return { manifest, parts }
}

/** What GNU tar makes of a file. */
export async function tarOf(image: Uint8Array, flags: readonly string[]): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'mallee-tar-'))
  try {
    await writeFile(join(dir, NAME), image)
    await exec(['cp', '--sparse=always', join(dir, NAME), join(dir, 'sparse')])
    await exec(['mv', join(dir, 'sparse'), join(dir, NAME)])
    await exec(['tar', '-c', ...flags, '-C', dir, '-f', join(dir, 'tar'), NAME])
    return await readFile(join(dir, 'tar'))
  } finally {
    await rm(dir, { recursive: true })
  }
}

function sealedFor(certificatePem: string, text: string): string {
  const key = { key: createPublicKey(certificatePem), padding: constants.RSA_PKCS1_PADDING }
  return publicEncrypt(key, Buffer.from(text)).toString('hex')
}

function sha1(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}
