// The name of a cloud's region: what fits, what a new cloud has, and which tools want more.

/** In the form of AWS's names, and none that AWS has: its own never begin with `au`. */
export const DEFAULT_REGION = 'au-mallee-1'

const MAX_LENGTH = 32
const FITS = /^[a-z0-9]+(-[a-z0-9]+)*$/
/** What Terraform's provider takes in an ARN. */
const AS_AWS = /^[a-z]{2}(-[a-z]+)+-\d{1,2}$/

export function isRegion(name: string): boolean {
  return FITS.test(name) && name.length <= MAX_LENGTH
}

/** What whoever chooses this region should know; null when every tool takes it. */
export function regionNote(region: string): string | null {
  if (AS_AWS.test(region)) return null
  return `Terraform's AWS provider takes no ARNs with the region ${region}, so no aws_lb_listener among others: it wants two letters, words and a number, as in ${DEFAULT_REGION}`
}
