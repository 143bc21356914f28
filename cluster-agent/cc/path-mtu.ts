// How large a packet gets through a tunnel: asked of its far end, as nobody on the way says it.
// What the underlay drops for its size looks like loss from here.

/** Every link of IPv6 takes that much (RFC 8200, 5). */
export const LEAST_MTU = 1280
const SMALL = 100
const COARSE = 20
const FINE = 4

/** Does a packet of so many bytes come back? */
export type Probe = (bytes: number) => Promise<boolean>

export type PathMtu =
  /** To four bytes. */
  | { readonly kind: 'mtu'; readonly bytes: number }
  /** Small ones come back, those of LEAST_MTU do not. */
  | { readonly kind: 'too-small' }
  | { readonly kind: 'silent' }

/** From LEAST_MTU to `most`. Where all is well it is one probe. */
export async function measurePathMtu(probe: Probe, most: number): Promise<PathMtu> {
  if (await probe(most)) return { kind: 'mtu', bytes: most }
  const coarse = await largest(probe, steps(LEAST_MTU, most, COARSE))
  if (coarse === null) {
    return (await probe(SMALL)) ? { kind: 'too-small' } : { kind: 'silent' }
  }
  const fine = await largest(probe, steps(coarse + FINE, Math.min(coarse + COARSE, most), FINE))
  return { kind: 'mtu', bytes: fine ?? coarse }
}

/** All at once: what gets lost takes a second to be missed. */
async function largest(probe: Probe, sizes: readonly number[]): Promise<number | null> {
  const passed = await Promise.all(sizes.map(probe))
  const fitting = sizes.filter((_, i) => passed[i])
  return fitting.length === 0 ? null : Math.max(...fitting)
}

function steps(first: number, end: number, by: number): number[] {
  const count = Math.max(0, Math.ceil((end - first) / by))
  return Array.from({ length: count }, (_, n) => first + n * by)
}
