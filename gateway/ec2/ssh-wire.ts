// The wire of SSH: strings with their length in front (RFC 4251, 5), and the file in which OpenSSH
// keeps an ED25519 private key (its PROTOCOL.key).

const MAGIC = Buffer.from('openssh-key-v1\0')
const TYPE = Buffer.from('ssh-ed25519')
const NONE = Buffer.from('none')
const BLOCK_BYTES = 8
const PEM_COLUMNS = 70
const LENGTH_BYTES = 4

export function pack(...strings: readonly Buffer[]): Buffer {
  return Buffer.concat(strings.flatMap((one) => [uint32(one.length), one]))
}

/** The strings in the bytes, null when these are not strings from end to end. */
export function unpack(bytes: Buffer): Buffer[] | null {
  const strings: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + LENGTH_BYTES > bytes.length) return null
    const start = at + LENGTH_BYTES
    const end = start + bytes.readUInt32BE(at)
    if (end > bytes.length) return null
    strings.push(bytes.subarray(start, end))
    at = end
  }
  return strings
}

/** Not encrypted. `check` is 4 random bytes that stand there twice. */
export function opensshPrivateKey(
  seed: Buffer,
  point: Buffer,
  comment: string,
  check: Buffer,
): string {
  const secret = Buffer.concat([
    check,
    check,
    pack(TYPE, point, Buffer.concat([seed, point]), Buffer.from(comment)),
  ])
  const padding = (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES
  const padded = Buffer.concat([
    secret,
    Buffer.from(Array.from({ length: padding }, (_, i) => i + 1)),
  ])
  const file = Buffer.concat([
    MAGIC,
    pack(NONE, NONE, Buffer.alloc(0)),
    uint32(1),
    pack(pack(TYPE, point), padded),
  ])
  const lines = file.toString('base64').match(new RegExp(`.{1,${PEM_COLUMNS}}`, 'g')) ?? []
  const name = 'OPENSSH PRIVATE KEY'
  return [`-----BEGIN ${name}-----`, ...lines, `-----END ${name}-----`, ''].join('\n')
}

function uint32(n: number): Buffer {
  const bytes = Buffer.alloc(LENGTH_BYTES)
  bytes.writeUInt32BE(n)
  return bytes
}
