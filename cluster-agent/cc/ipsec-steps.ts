// One step of bringing a charon to what it shall hold, as VICI's commands.

import { codeOf } from '../../common/errors.ts'
import { never } from '../../topology/result.ts'
import type { Vici } from '../host/vici.ts'
import type { ViciMessage } from '../host/vici-wire.ts'
import type { IpsecConnection } from './ipsec-connection.ts'

export type CharonStep =
  | { readonly kind: 'unload'; readonly name: string }
  | { readonly kind: 'forget'; readonly secret: string }
  | { readonly kind: 'end'; readonly tunnel: string }
  | { readonly kind: 'end-child'; readonly child: string }
  | { readonly kind: 'secret'; readonly wanted: IpsecConnection }
  | { readonly kind: 'load'; readonly wanted: IpsecConnection }
  | { readonly kind: 'dial'; readonly wanted: IpsecConnection }

export async function applyStep(vici: Vici, step: CharonStep): Promise<void> {
  switch (step.kind) {
    case 'unload':
      await vici.ask('unload-conn', { name: step.name })
      return
    case 'forget':
      await vici.ask('unload-shared', { id: step.secret })
      return
    case 'end':
      await endSa(vici, { 'ike-id': step.tunnel })
      return
    case 'end-child':
      await endSa(vici, { 'child-id': step.child })
      return
    case 'secret':
      await vici.ask('load-shared', step.wanted.secret)
      return
    case 'load':
      await vici.ask('load-conn', step.wanted.connection)
      return
    case 'dial': {
      // What comes of it is heard later.
      const { name: ike, child } = step.wanted
      await vici.ask('initiate', { ike, child, timeout: '-1' })
      return
    }
    default:
      never(step)
  }
}

/** It may have ended by itself meanwhile. */
async function endSa(vici: Vici, which: ViciMessage): Promise<void> {
  try {
    await vici.ask('terminate', { ...which, force: 'yes', timeout: '-1' })
  } catch (error) {
    if (codeOf(error) !== 'CommandFailed') throw error
  }
}
