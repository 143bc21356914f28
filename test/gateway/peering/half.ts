// One of two clouds of which everything about peering is done step by step: its store, its
// gateway's present life, and somebody who sees the store whoever is dead.

import { type Clock, randomHex, systemClock } from '../../../common/clock.ts'
import { silentLog } from '../../../common/log.ts'
import type { InvitingParts } from '../../../gateway/peering/invitations.ts'
import type { PeerRecord } from '../../../gateway/store/peer-records.ts'
import type { State, View } from '../../../gateway/store/state.ts'
import type { RpcServer } from '../../../proto/server.ts'
import type { TlsIdentity } from '../../../proto/tls.ts'
import type { Cloud } from '../ec2/support.ts'
import type { handClock } from '../store/states.ts'
import { MemoryStore } from './memory-store.ts'

/** Between two looks at it. */
const HASTE_MS = 60_000

export type HandClock = ReturnType<typeof handClock>

export class Half {
  readonly name: string
  readonly store = new MemoryStore()
  readonly clock: HandClock
  readonly identity: TlsIdentity
  cloud!: Cloud
  /** Sees the store whoever is dead. */
  observer!: State
  isDead = false
  join: RpcServer | null = null
  comparedAtMs = 0
  gateway = ''
  constructor(name: string, identity: TlsIdentity, clock: HandClock) {
    this.name = name
    this.identity = identity
    this.clock = clock
  }

  get state(): State {
    return this.cloud.state
  }

  get view(): View {
    return this.observer.view()
  }

  get uid(): string {
    return this.view.get('cloud', 'self')?.uid ?? ''
  }

  peer(): PeerRecord | null {
    return this.view.all('peer')[0] ?? null
  }

  get inviting(): InvitingParts {
    const { state, clock, identity } = this
    const endpoint = `127.0.0.1:${this.name === 'east' ? 1 : 2}`
    return {
      ...{ state, clock, randomHex, log: silentLog, cas: [identity.caPem] },
      listening: async () => {
        if (state.view().get('peering-endpoint', endpoint) !== null) return
        const record = { endpoints: [endpoint], renewedAtMs: clock.nowMs() }
        await state.update((tx) => tx.put('peering-endpoint', [endpoint], record))
      },
      joinPlaces: () => [{ host: '127.0.0.1', port: this.join?.joinPort ?? 0 }],
    }
  }
}

/** By which nobody ever calls too often. */
export function hastyClock(): Clock {
  let nowMs = 0
  return {
    ...systemClock,
    nowMs: () => {
      nowMs += HASTE_MS
      return nowMs
    },
  }
}
