// What strongSwan's log says when a tunnel does not come up, in a sentence for the customer. Only
// what is known is told on: its own words are for its log.

const SAID: readonly (readonly [RegExp, string])[] = [
  [
    /AUTHENTICATION_FAILED|AUTH_FAILED|MAC mismatched|no shared key found/,
    "the device and this side do not have the same pre-shared key, or not each other's identity",
  ],
  [
    /NO_PROPOSAL_CHOSEN|no acceptable (?:proposal|[A-Z_]+ )|no proposal found/i,
    'the device and this side have no algorithms in common',
  ],
  [
    /TS_UNACCEPTABLE|traffic selectors .* (?:unacceptable|inacceptable)/,
    'the device and this side have no prefixes in common',
  ],
  [
    /giving up after \d+ retransmits|peer not responding|destroying IKE_SA .* after timeout/,
    'the device does not answer',
  ],
  [/unable to (?:install|add)|failed to (?:create|establish) CHILD_SA/, 'this host cannot make it'],
]

/** The sentence for a line of the log; null for one that says of no trouble. */
export function troubleIn(line: string): string | null {
  return SAID.find(([words]) => words.test(line))?.[1] ?? null
}
