// Sizes of volumes, as the gateway and the hosts count them.

export const GIB = 2 ** 30
/** What an encrypted volume has more on its SC than its guest sees: the header of LUKS. */
export const LUKS_HEADER_BYTES = 16 * 2 ** 20

/** Of a volume's bytes on its SC. */
export function storedBytes(sizeGib: number, isEncrypted: boolean): number {
  return sizeGib * GIB + (isEncrypted ? LUKS_HEADER_BYTES : 0)
}
