// A call's parameters and its answer as CloudTrail writes them down: names in lower camel case, no
// secret among them, and of no more than a bounded size.

/** In place of user data, as CloudTrail has it for RunInstances. */
const SENSITIVE_DATA = '<sensitiveDataRemoved>'
/** In place of every other secret. */
export const HIDDEN = 'HIDDEN_DUE_TO_SECURITY_REASONS'

const USER_DATA: ReadonlySet<string> = new Set(['UserData', 'LaunchTemplateSpecificationUserData'])
/** Members of the models, in requests or answers, that are secrets or hold some. */
const SECRETS: ReadonlySet<string> = new Set([
  'AuthenticationCode1',
  'AuthenticationCode2',
  'Base32StringSeed',
  'ClientSecret',
  'ContextAssertion',
  'CustomerGatewayConfiguration',
  'DecodedMessage',
  'KeyMaterial',
  'MacCredentials',
  'NewPassword',
  'OldPassword',
  'Password',
  'PasswordData',
  'PreSharedKey',
  'PrivateKey',
  'QRCodePNG',
  'SAMLAssertion',
  'SecretAccessKey',
  'ServiceCredentialSecret',
  'ServicePassword',
  'SessionToken',
  'TokenCode',
  'TokenValue',
  'TradeInToken',
  'UploadPolicySignature',
  'VpnConnectionDeviceSampleConfiguration',
  'WebIdentityToken',
])

/** CloudTrail's own limit ("CloudTrail record contents"). */
const MAX_REQUEST_BYTES = 100 << 10
/** A launch of some instances fits; a launch of a thousand would be half a megabyte. */
const MAX_RESPONSE_BYTES = 16 << 10
const BAD_VALUE = /Value \(.*\) for parameter (\S+)/s

/** What stands for a member's value that must not be written; null when it may be. */
export function hiddenAs(member: string): string | null {
  if (USER_DATA.has(member)) return SENSITIVE_DATA
  return SECRETS.has(member) ? HIDDEN : null
}

/** `requestParameters` of a decoded input; null when it had none. */
export function requestElement(input: object): object | null {
  const shown = shownMembers(input)
  if (Object.keys(shown).length === 0) return null
  return withinLimit('requestParameters', shown, MAX_REQUEST_BYTES)
}

/** `responseElements` of an output of the SDK's type; `more` is what the service adds. */
export function responseElement(output: object, more: object): object | null {
  const shown = { ...more, ...shownMembers(output) }
  if (Object.keys(shown).length === 0) return null
  return withinLimit('responseElements', shown, MAX_RESPONSE_BYTES)
}

/** A refusal's sentence, without a secret's value in it. */
export function shownMessage(message: string): string {
  return message.replace(BAD_VALUE, (whole, parameter: string) => {
    const members = parameter.split('.')
    const hidden = members.map(hiddenAs).find((each) => each !== null)
    return hidden === undefined ? whole : `Value (${hidden}) for parameter ${parameter}`
  })
}

/** Of one that is too large, what is in it beside lists and structures: a reservation's id. */
function withinLimit(name: string, element: object, maxBytes: number): object {
  const originalSize = Buffer.byteLength(JSON.stringify(element))
  if (originalSize <= maxBytes) return element
  const small = Object.entries(element).filter(([, value]) => {
    return typeof value !== 'object' && (typeof value !== 'string' || value.length <= 128)
  })
  const reason = `${name} too large`
  return { ...Object.fromEntries(small), omitted: true, originalSize, reason }
}

function shown(value: unknown): unknown {
  if (value instanceof Date) return isoSecond(value.getTime())
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(shown)
  return typeof value === 'object' && value !== null ? shownMembers(value) : value
}

function shownMembers(structure: object): Record<string, unknown> {
  // A decoded map has no prototype: its keys are the caller's words, not the model's.
  const isMap = Object.getPrototypeOf(structure) === null
  const members = Object.entries(structure).filter(([, value]) => value !== undefined)
  const isUserData = 'Attribute' in structure && structure.Attribute === 'userData'
  return Object.fromEntries(
    members.map(([name, value]) => {
      if (isMap) return [name, shown(value)]
      // ModifyInstanceAttribute's older way to say it has the value under another name.
      const hidden = isUserData && name === 'Value' ? SENSITIVE_DATA : hiddenAs(name)
      if (name === 'Return') return ['_return', value]
      return [`${name.charAt(0).toLowerCase()}${name.slice(1)}`, hidden ?? shown(value)]
    }),
  )
}

/** 1970-01-01T00:00:00Z: CloudTrail's times have no fractions. */
export function isoSecond(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
