// The manifest of a bundle, as the AMI tools and euca2ools write it (version 2007-10-10): which
// parts an image was split into, what it hashes to, and its key, encrypted for this cloud.

import { MalleeError } from '../../common/errors.ts'
import { type Element, parseXml } from '../s3/wire/xml.ts'
import type { ImageKind } from '../store/image-records.ts'

export interface BundlePart {
  /** Beside the manifest; no path. */
  readonly name: string
  /** Hex. */
  readonly sha1: string
}

/** What the image in it is. */
export interface BundledKind {
  readonly kind: ImageKind
  /** Ids of images that a machine starts from, as they stand there. */
  readonly kernel?: string | undefined
  readonly ramdisk?: string | undefined
}

export interface BundleManifest extends BundledKind {
  /** The account that it was bundled for, 12 digits. */
  readonly account: string
  readonly sizeBytes: number
  /** All parts together. */
  readonly bundledBytes: number
  /** Of the tar file that the image is in. */
  readonly sha1: string
  readonly encryptedKey: Uint8Array
  readonly encryptedIv: Uint8Array
  readonly parts: readonly BundlePart[]
}

/** Larger ones are refused, in bytes. */
export const MAX_MANIFEST_BYTES = 1 << 20
/** Of 10 MiB each that is 40 GiB, compressed. */
const MAX_PARTS = 4_096
const NAME = /^[\w.@()+ -]{1,255}$/
const SHA1 = /^[0-9a-f]{40}$/
/** An RSA key of 4096 bits makes as many. */
const ENCRYPTED = /^(?:[0-9a-fA-F]{2}){1,512}$/
const ACCOUNT = /^\d{12}$/
const NUMBER = /^\d{1,15}$/

/** An id of another cloud has another form; what it must be is for those to say who look it up. */
const ID = /^[\w-]{1,64}$/

/** Throws BadArgument for what is no manifest of an image that instances can run from. */
export function parseManifest(bytes: Uint8Array): BundleManifest {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw bad(`it has ${bytes.length} bytes, at most ${MAX_MANIFEST_BYTES} are read`)
  }
  const root = rootOf(bytes)
  if (root.name !== 'manifest') throw bad(`its root is ${root.name}, not manifest`)
  const machine = childOf(root, 'machine_configuration')
  const architecture = textAt(machine, 'architecture', /^\w{1,32}$/)
  if (architecture !== 'x86_64') throw bad(`its architecture is ${architecture}, not x86_64`)
  const image = childOf(root, 'image')
  return {
    ...kindIn(machine, textAt(image, 'type', /^.{1,64}$/)),
    // The AMI tools took account ids with dashes.
    account: checked(textOf(childOf(image, 'user')).replaceAll('-', ''), 'user', ACCOUNT),
    sizeBytes: Number(textAt(image, 'size', NUMBER)),
    bundledBytes: Number(textAt(image, 'bundled_size', NUMBER)),
    sha1: digestOf(image),
    encryptedKey: hexAt(image, 'ec2_encrypted_key'),
    encryptedIv: hexAt(image, 'ec2_encrypted_iv'),
    parts: partsOf(childOf(image, 'parts')),
  }
}

function rootOf(bytes: Uint8Array): Element {
  try {
    return parseXml(bytes)
  } catch (error) {
    throw new MalleeError('BadArgument', 'the manifest is no XML', { cause: error })
  }
}

/** The tools say `true` for the id of what it is itself; newer ones say so in the type as well. */
function kindIn(machine: Element, type: string): BundledKind {
  const idOf = (name: string): string | undefined => {
    const child = machine.children.find((one) => one.name === name)
    return textOf(child) === '' ? undefined : textAt(machine, name, ID)
  }
  const [kernel, ramdisk] = [idOf('kernel_id'), idOf('ramdisk_id')]
  const said: ImageKind[] = []
  if (type === 'kernel' || type === 'ramdisk') said.push(type)
  else if (type !== 'machine') throw bad(`its image is a ${type}`)
  if (kernel === 'true') said.push('kernel')
  if (ramdisk === 'true') said.push('ramdisk')
  const [kind = 'machine', ...others] = new Set(said)
  if (others.length > 0) throw bad(`its image is a ${[kind, ...others].join(' and a ')}`)
  if (kind === 'machine') return { kind, kernel, ramdisk }
  const id = [kernel, ramdisk].find((one) => one !== undefined && one !== 'true')
  if (id !== undefined) throw bad(`its image is a ${kind} and starts from ${id}`)
  return { kind }
}

function partsOf(parts: Element): BundlePart[] {
  const count = parts.children.length
  if (count < 1 || count > MAX_PARTS) throw bad(`it has ${count} parts, not 1 to ${MAX_PARTS}`)
  if (parts.attributes.get('count') !== `${count}`)
    throw bad(`it has ${count} parts, and says else`)
  const found = new Map(parts.children.map((part) => [part.attributes.get('index'), part]))
  return parts.children.map((_, i) => {
    const part = found.get(`${i}`)
    if (part === undefined) throw bad(`it has no part ${i}`)
    return { name: textAt(part, 'filename', NAME), sha1: digestOf(part) }
  })
}

function digestOf(element: Element): string {
  const digest = childOf(element, 'digest')
  const algorithm = digest.attributes.get('algorithm')
  if (algorithm !== 'SHA1') throw bad(`a digest is ${algorithm}, not SHA1`)
  return checked(textOf(digest).toLowerCase(), 'digest', SHA1)
}

function hexAt(element: Element, name: string): Uint8Array {
  return Buffer.from(textAt(element, name, ENCRYPTED), 'hex')
}

function textAt(element: Element, name: string, pattern: RegExp): string {
  return checked(textOf(childOf(element, name)), name, pattern)
}

function checked(text: string, name: string, pattern: RegExp): string {
  if (pattern.test(text)) return text
  throw bad(`its ${name} is ${JSON.stringify(text.slice(0, 64))}`)
}

function childOf(element: Element, name: string): Element {
  const [child, ...more] = element.children.filter((one) => one.name === name)
  if (child === undefined) throw bad(`it has no ${name}`)
  if (more.length > 0) throw bad(`it has several ${name}`)
  return child
}

function textOf(element: Element | undefined): string {
  return (element?.text ?? '').trim()
}

function bad(why: string): MalleeError {
  return new MalleeError('BadArgument', `the manifest cannot be used: ${why}`)
}
