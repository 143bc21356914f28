// Typed output → XML, as the model says. Compiled like the decoder; answers are sparse (an instance
// has some 70 members), so the output's own keys lead and not the shape's.

import type { Member, Model, Ref, Scalar, Shape } from './model.ts'

// The values are what the handlers' types promise; the model says which is which.
type Encode = (value: never) => string

// Control characters that XML 1.0 cannot carry at all become U+FFFD.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
const UNSAFE = /[&<>"\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find
const UNSAFE_ALL = /[&<>"\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
}

/** Text for XML content or an attribute in double quotes. */
export function escapeXml(text: string): string {
  if (!UNSAFE.test(text)) return text
  return text.replace(UNSAFE_ALL, (character) => ENTITIES[character] ?? '\ufffd')
}

const SCALARS: Readonly<Record<Scalar, Encode>> = {
  s: (value: string) => escapeXml(String(value)),
  n: (value: number) => String(value),
  d: (value: number) => String(value),
  b: (value: boolean) => String(value),
  t: (value: Date) => value.toISOString(),
  x: (value: Uint8Array) => Buffer.from(value).toString('base64'),
}

/**
 * An encoder for every shape of `model`. Members that are absent or null are left out; empty lists
 * and strings are empty elements. Throws a plain Error for a member that the shape does not have.
 */
export function createEncoder(model: Model): (ref: Ref, value: unknown) => string {
  const made = new Map<number, Encode>()

  function encoderOf(ref: Ref): Encode {
    if (typeof ref === 'string') return SCALARS[ref]
    const known = made.get(ref)
    if (known !== undefined) return known
    let encode: Encode | null = null
    const lazily: Encode = (value) => {
      encode ??= compile(ref)
      return encode(value)
    }
    made.set(ref, lazily)
    return lazily
  }

  function compile(ref: number): Encode {
    const shape = model.shapes[ref]
    if (shape === undefined) throw new RangeError(`the model has no shape ${ref}`)
    switch (shape[0]) {
      case 'l':
        return listEncoder(shape[1], shape[2])
      case 'm':
        return mapEncoder(shape[1], shape[2], encoderOf(shape[3]))
      case 'o':
        return structureEncoder(shape[1], shape[2])
    }
  }

  function listEncoder(tag: string, item: Ref): Encode {
    const encode = encoderOf(item)
    return (value: readonly never[]) =>
      value.map((each) => `<${tag}>${encode(each)}</${tag}>`).join('')
  }

  function structureEncoder(name: string, members: readonly Member[]): Encode {
    const byName = new Map(members.map((member) => [member.n, member]))
    const encoders = new Map<string, Encode>()
    function encoderFor(member: string): Encode {
      const known = encoders.get(member)
      if (known !== undefined) return known
      const found = byName.get(member)
      if (found === undefined) throw new Error(`${name} has no member ${member}`)
      const encode = memberEncoder(found)
      encoders.set(member, encode)
      return encode
    }
    return (value: Readonly<Record<string, never>>) => {
      let xml = ''
      for (const member of Object.keys(value)) {
        const held = value[member]
        if (held !== undefined && held !== null) xml += encoderFor(member)(held)
      }
      return xml
    }
  }

  function memberEncoder(member: Member): Encode {
    const tag = member.x ?? member.n
    const shape: Shape | undefined =
      typeof member.r === 'number' ? model.shapes[member.r] : undefined
    if (shape?.[0] === 'l' && (member.f === 1 || shape[3] === 1)) return listEncoder(tag, shape[2])
    const encode = encoderOf(member.r)
    return (value) => `<${tag}>${encode(value)}</${tag}>`
  }

  return (ref, value) => encoderOf(ref)(value as never)
}

function mapEncoder(keyTag: string, valueTag: string, encode: Encode): Encode {
  return (value: Readonly<Record<string, never>>) =>
    Object.entries(value)
      .map(([key, held]) => {
        const name = `<${keyTag}>${escapeXml(key)}</${keyTag}>`
        return `<entry>${name}<${valueTag}>${encode(held)}</${valueTag}></entry>`
      })
      .join('')
}
