// What the handlers of this service are made of.

import type { RandomHex } from '../../common/clock.ts'
import type { State } from '../store/state.ts'

export interface BalancingParts {
  readonly state: State
  readonly randomHex: RandomHex
  readonly region: string
}
