// CreateVpcPeeringConnection, AcceptVpcPeeringConnection, RejectVpcPeeringConnection,
// DeleteVpcPeeringConnection, ModifyVpcPeeringConnectionOptions.

import type { RandomHex } from '../../common/clock.ts'
import { mustCidr, overlaps } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import { EXPIRES_MS, HIDDEN } from '../peering/asked.ts'
import { isRemote, pendingMessage } from '../peering/negotiation.ts'
import { vpcBlocks } from '../peering/seen-as.ts'
import type { PeeringRecord } from '../store/network-records.ts'
import type { VpcRecord } from '../store/records.ts'
import type { Transaction, View } from '../store/state.ts'
import type { NetworkParts } from './create-vpc.ts'
import { peeringShape } from './describe-peerings.ts'
import { oneInStore, randomId } from './ids.ts'
import { endDryRun, refuseUnknown, required } from './input.ts'
import { PEERING_PREFIX, peeringOf } from './peering-records.ts'
import { checkQuota, checkQuotaOf } from './quotas.ts'
import { acceptRemote, peerOfRegion, requestOf } from './remote-peerings.ts'
import { addTags, parseTagSpecifications } from './tagging.ts'
import { holdVpc } from './vpc-records.ts'

type PeeringHandlers = Required<
  Pick<
    Ec2Handlers,
    | 'CreateVpcPeeringConnection'
    | 'AcceptVpcPeeringConnection'
    | 'RejectVpcPeeringConnection'
    | 'DeleteVpcPeeringConnection'
    | 'ModifyVpcPeeringConnectionOptions'
  >
>

type Options = NonNullable<
  Ec2Inputs['ModifyVpcPeeringConnectionOptions']['RequesterPeeringConnectionOptions']
>

const KNOWN = new Set([
  'VpcId',
  'PeerVpcId',
  'PeerOwnerId',
  'PeerRegion',
  'TagSpecifications',
  'DryRun',
])
const DELETABLE = ['active', 'pending-acceptance', 'initiating-request', 'provisioning'] as const
const KNOWN_OPTIONS = new Set(['AllowDnsResolutionFromRemoteVpc'])
/** What came before VPCs could be peered, and was switched off. */
const CLASSIC = new Map<string, readonly unknown[]>([
  ['AllowEgressFromLocalClassicLinkToRemoteVpc', [false]],
  ['AllowEgressFromLocalVpcToRemoteClassicLink', [false]],
])

export function peeringHandlers({ state, randomHex, region }: NetworkParts): PeeringHandlers {
  return {
    CreateVpcPeeringConnection: async ({ caller, nowMs }, input) => {
      const { account } = caller
      const vpcId = required('VpcId', input.VpcId)
      const peerId = required('PeerVpcId', input.PeerVpcId)
      refuseUnknown(input, KNOWN, new Map())
      const specified = parseTagSpecifications(input.TagSpecifications, ['peering'])
      const accepter = { account: input.PeerOwnerId ?? account, vpc: peerId }
      const id = await state.update(async (tx) => {
        const vpc = await oneInStore(tx, 'vpc', vpcId, account)
        const view = await state.fresh()
        await checkQuota(tx, state, account, 'outstanding-peerings')
        const cloud = peerOfRegion(view, input.PeerRegion, region)
        if (cloud !== null) {
          await holdVpc(tx, vpc)
          const wish = { vpc, account, peerOwnerId: input.PeerOwnerId, peerVpcId: peerId }
          const made = await newPeeringId(tx, randomHex)
          const asked = requestOf(view, cloud, made, wish, nowMs)
          return await begin(tx, asked, specified.get('peering'), input)
        }
        const peer = await tx.get('vpc', peerId)
        // EC2 tells nobody whether a VPC of another account is there: the peering has failed.
        const isTheirs = peer?.account === accepter.account
        const reason = isTheirs ? whyNot(view, vpc, peer) : HIDDEN
        const why = reason === null || accepter.account === account ? reason : HIDDEN
        await holdVpc(tx, vpc)
        if (isTheirs && peer.id !== vpc.id) await holdVpc(tx, peer)
        const record: PeeringRecord = {
          id: await newPeeringId(tx, randomHex),
          requester: { account, vpc: vpcId },
          accepter,
          state: why === null ? 'pending-acceptance' : 'failed',
          message: why ?? pendingMessage(accepter.account),
          createdAtMs: nowMs,
          expiresAtMs: nowMs + EXPIRES_MS,
          endedAtMs: why === null ? null : nowMs,
          requesterDnsResolution: false,
          accepterDnsResolution: false,
        }
        return await begin(tx, record, specified.get('peering'), input)
      })
      const view = await state.fresh()
      const record = view.get('peering', id)
      return {
        VpcPeeringConnection:
          record === null ? undefined : peeringShape(view, region, record, account),
      }
    },

    AcceptVpcPeeringConnection: async ({ caller: { account } }, input) => {
      const accepted = await state.update(async (tx) => {
        const peering = await peeringOf(tx, input.VpcPeeringConnectionId, account)
        checkParty(peering, account, 'accept')
        if (peering.state === 'active') {
          endDryRun(input)
          return peering
        }
        checkState(peering, ['pending-acceptance'], 'accepted')
        if (isRemote(peering)) {
          const vpc = await heldVpc(tx, peering.accepter)
          const view = await state.fresh()
          await checkQuotaOf(tx, vpc, 'peerings-per-vpc', activeOf(view, vpc.id))
          const next = await acceptRemote(tx, view, peering, vpc)
          await tx.put('peering', [peering.id], next)
          endDryRun(input)
          return next
        }
        const requester = await heldVpc(tx, peering.requester)
        const accepter = await heldVpc(tx, peering.accepter)
        const view = await state.fresh()
        for (const one of [requester, accepter]) {
          await checkQuotaOf(tx, one, 'peerings-per-vpc', activeOf(view, one.id))
        }
        const why = whyNot(view, requester, accepter, peering.id)
        if (why !== null) throw new ApiError('OperationNotPermitted', why)
        const next: PeeringRecord = { ...peering, state: 'active', message: 'Active' }
        await tx.put('peering', [peering.id], next)
        endDryRun(input)
        return next
      })
      const view = await state.fresh()
      return { VpcPeeringConnection: peeringShape(view, region, accepted, account) }
    },

    RejectVpcPeeringConnection: async ({ caller: { account }, nowMs }, input) => {
      await state.update(async (tx) => {
        const peering = await peeringOf(tx, input.VpcPeeringConnectionId, account)
        checkParty(peering, account, 'reject')
        checkState(peering, ['pending-acceptance'], 'rejected')
        endDryRun(input)
        const message = `Rejected by ${account}`
        const next = { ...peering, state: 'rejected', message, endedAtMs: nowMs } as const
        await tx.put('peering', [peering.id], next)
      })
      return { Return: true }
    },

    DeleteVpcPeeringConnection: async ({ caller: { account }, nowMs }, input) => {
      await state.update(async (tx) => {
        const peering = await peeringOf(tx, input.VpcPeeringConnectionId, account)
        if (peering.state === 'deleted') return endDryRun(input)
        // Who asked may take the request back; who was asked rejects it.
        if (peering.state === 'pending-acceptance' && peering.requester.account !== account) {
          throw badState(peering, 'deleted by its accepter, who may reject it')
        }
        checkState(peering, DELETABLE, 'deleted')
        endDryRun(input)
        const message = `Deleted by ${account}`
        const next = { ...peering, state: 'deleted', message, endedAtMs: nowMs } as const
        await tx.put('peering', [peering.id], next)
      })
      return { Return: true }
    },

    ModifyVpcPeeringConnectionOptions: async ({ caller: { account } }, input) => {
      const { RequesterPeeringConnectionOptions: ofRequester } = input
      const { AccepterPeeringConnectionOptions: ofAccepter } = input
      if (ofRequester === undefined) required('AccepterPeeringConnectionOptions', ofAccepter)
      for (const options of [ofRequester, ofAccepter]) {
        if (options !== undefined) refuseUnknown(options, KNOWN_OPTIONS, CLASSIC)
      }
      const next = await state.update(async (tx) => {
        const peering = await peeringOf(tx, input.VpcPeeringConnectionId, account)
        checkState(peering, ['active'], 'modified')
        const { requester, accepter } = peering
        checkSide(peering, 'Requester', requester.account === account, ofRequester)
        checkSide(peering, 'Accepter', accepter.account === account, ofAccepter)
        endDryRun(input)
        const changed = {
          ...peering,
          requesterDnsResolution:
            ofRequester?.AllowDnsResolutionFromRemoteVpc ?? peering.requesterDnsResolution,
          accepterDnsResolution:
            ofAccepter?.AllowDnsResolutionFromRemoteVpc ?? peering.accepterDnsResolution,
        }
        await tx.put('peering', [peering.id], changed)
        return changed
      })
      return {
        RequesterPeeringConnectionOptions:
          ofRequester === undefined ? undefined : shown(next.requesterDnsResolution),
        AccepterPeeringConnectionOptions:
          ofAccepter === undefined ? undefined : shown(next.accepterDnsResolution),
      }
    },
  }
}

/** Why the two cannot be peers, as EC2 says it in the failed peering; null when they can. */
function whyNot(view: View, vpc: VpcRecord, peer: VpcRecord, own = ''): string | null {
  if (vpc.id === peer.id) return `Failed: ${vpc.id} cannot be its own peer`
  const other = view.all('peering').find((one) => {
    const ends = [one.requester.vpc, one.accepter.vpc]
    const isAlive = one.state === 'active' || (own === '' && one.state === 'pending-acceptance')
    return one.id !== own && isAlive && ends.includes(vpc.id) && ends.includes(peer.id)
  })
  if (other !== undefined) return `Failed: the peering ${other.id} of the two is ${other.state}`
  for (const a of vpcBlocks(vpc)) {
    const b = vpcBlocks(peer).find((cidr) => overlaps(mustCidr(a), mustCidr(cidr)))
    if (b !== undefined) return `Failed due to overlapping CIDR range: ${a} and ${b}`
  }
  return null
}

/** A VPC of a peering that waits is there: one is not deleted before its peerings. */
async function heldVpc(
  tx: Transaction,
  { vpc: id, account }: PeeringRecord['requester'],
): Promise<VpcRecord> {
  const vpc = await oneInStore(tx, 'vpc', id, account)
  await holdVpc(tx, vpc)
  return vpc
}

async function newPeeringId(tx: Transaction, randomHex: RandomHex): Promise<string> {
  const made = randomId(randomHex, PEERING_PREFIX)
  if ((await tx.get('peering', made)) !== null) throw new RangeError(`${made} is taken`)
  return made
}

async function begin(
  tx: Transaction,
  record: PeeringRecord,
  tags: ReadonlyMap<string, string> | undefined,
  input: { readonly DryRun?: boolean | undefined },
): Promise<string> {
  const { id, requester } = record
  await tx.put('peering', [id], record)
  await addTags(tx, { kind: 'peering', id, account: requester.account }, tags ?? new Map())
  endDryRun(input)
  return id
}

function activeOf(view: View, vpc: string): number {
  return view
    .all('peering')
    .filter(({ requester, accepter }) => requester.vpc === vpc || accepter.vpc === vpc)
    .filter((one) => one.state === 'active').length
}

function checkParty({ id, accepter }: PeeringRecord, account: string, verb: string): void {
  if (accepter.account === account) return
  const text = `User ${account} cannot ${verb} peering ${id}: ${accepter.account} can, whom it was offered to`
  throw new ApiError('OperationNotPermitted', text)
}

function checkState(
  peering: PeeringRecord,
  wanted: readonly PeeringRecord['state'][],
  done: string,
): void {
  if (!wanted.includes(peering.state)) throw badState(peering, done)
}

function badState({ id, state }: PeeringRecord, done: string): ApiError {
  const text = `Invalid state transition for ${id}: it is ${state} and cannot be ${done}`
  return new ApiError('InvalidStateTransition', text)
}

function checkSide(
  { id }: PeeringRecord,
  side: string,
  isTheirs: boolean,
  options: Options | undefined,
): void {
  if (options === undefined || isTheirs) return
  const text = `The ${side.toLowerCase()}'s options of ${id} are the ${side.toLowerCase()}'s to change`
  throw new ApiError('OperationNotPermitted', text)
}

function shown(allowed: boolean): { AllowDnsResolutionFromRemoteVpc: boolean } {
  return { AllowDnsResolutionFromRemoteVpc: allowed }
}
