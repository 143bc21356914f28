// CreateFleet, DescribeFleets and DeleteFleets: fleets of the type instant, which launch what they
// can at once and never again. Their instances have a tag that says so: that is how they are found.

import type { DeleteFleetErrorItem, DeleteFleetSuccessItem, FleetData } from '@aws-sdk/client-ec2'
import type { RandomHex } from '../../common/clock.ts'
import { ApiError } from '../aws/api-error.ts'
import type { CallContext, Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { FleetRecord } from '../store/compute-records.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { View } from '../store/state.ts'
import { answeredBefore, keepAnswer, parseClientToken } from './client-tokens.ts'
import { type Filterable, matching } from './filters.ts'
import { capacitiesOf, checkFleet, fleetLaunches } from './fleet-request.ts'
import { FLEET_TAG, fleetShape, fleetState, membersOf, resultsOf } from './fleet-shape.ts'
import { badValue, endDryRun, required, unsupported } from './input.ts'
import { terminateAll } from './instance-actions.ts'
import type { RunParts } from './launch-cards.ts'
import { pageOf } from './paging.ts'
import { startInstances } from './run-instances.ts'

type FleetHandlers = Required<Pick<Ec2Handlers, 'CreateFleet' | 'DeleteFleets' | 'DescribeFleets'>>

const FLEET_ID = /^fleet-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** EC2 API reference, DeleteFleets. */
const MAX_DELETED = 25
/** Instances of one launch. */
const MAX_AT_ONCE = 100

const FILTERABLE: Filterable<FleetData> = {
  fields: {
    'activity-status': (fleet) => fleet.ActivityStatus,
    'excess-capacity-termination-policy': () => undefined,
    'fleet-state': (fleet) => fleet.FleetState?.replace('_', '-'),
    'replace-unhealthy-instances': () => false,
    type: (fleet) => fleet.Type,
  },
  tags: (fleet) => fleet.Tags,
}

export function fleetHandlers(parts: RunParts): FleetHandlers {
  const { state, randomHex, region } = parts
  return {
    CreateFleet: async (context, input) => {
      checkFleet(input)
      const { account } = context.caller
      const other = input.TagSpecifications?.find((one) => one.ResourceType !== 'instance')
      if (other !== undefined) throw unsupported(`A tag of the type ${other.ResourceType}`)
      const token = parseClientToken(input.ClientToken)
      const use = { context, action: 'CreateFleet', token }
      const { id, isNew } = await state.update(async (tx) => {
        const known = await answeredBefore(tx, use)
        endDryRun(input)
        if (known !== null) return { id: known, isNew: false }
        const made = fleetId(randomHex)
        const { LaunchTemplateConfigs, TargetCapacitySpecification, OnDemandOptions, SpotOptions } =
          input
        const what = { LaunchTemplateConfigs, TargetCapacitySpecification }
        await tx.put('fleet', [made], {
          id: made,
          account,
          clientToken: token,
          request: { ...what, OnDemandOptions, SpotOptions },
          launched: [],
          errors: [],
          createdAtMs: context.nowMs,
          deletedAtMs: null,
        })
        await keepAnswer(tx, use, made)
        return { id: made, isNew: true }
      })
      if (isNew) await launchFleet(parts, context, input, id)
      const view = await state.fresh()
      const { errors, instances } = resultsOf(view, region, fleetInView(view, account, id))
      return { FleetId: id, Errors: errors, Instances: instances }
    },

    DescribeFleets: async (context, input) => {
      const view = await state.fresh()
      // A fleet of this type is shown only to who names it (EC2 API reference, DescribeFleets).
      const named = [...new Set(input.FleetIds ?? [])].map((id) => {
        if (!FLEET_ID.test(id)) {
          const text = `Invalid id: "${id.slice(0, 100)}" (expecting "fleet-...")`
          throw new ApiError('InvalidFleetId.Malformed', text)
        }
        return fleetInView(view, context.caller.account, id)
      })
      endDryRun(input)
      const shown = named.map((fleet) => fleetShape(view, region, fleet))
      const found = matching(shown, input.Filters, FILTERABLE)
      const cursor = (fleet: FleetData): string => fleet.FleetId ?? ''
      const { items, nextToken } = pageOf(context, 'DescribeFleets', input, found, cursor)
      return { Fleets: [...items], NextToken: nextToken }
    },

    DeleteFleets: async ({ caller: { account }, nowMs }, input) => {
      const ids = [...new Set(required('FleetId', input.FleetIds))]
      if (required('TerminateInstances', input.TerminateInstances) !== true) {
        const why = 'The instances of an instant fleet are terminated with it.'
        throw badValue('TerminateInstances', false, why)
      }
      if (ids.length > MAX_DELETED) {
        const why = `A request deletes ${MAX_DELETED} instant fleets at most.`
        throw badValue('FleetId', ids.length, why)
      }
      endDryRun(input)
      const SuccessfulFleetDeletions: DeleteFleetSuccessItem[] = []
      const UnsuccessfulFleetDeletions: DeleteFleetErrorItem[] = []
      for (const id of ids) {
        try {
          const before = fleetInView(await state.fresh(), account, id)
          const previous = fleetState(await state.fresh(), before)
          await state.update(async (tx) => {
            const fleet = await tx.get('fleet', id)
            if (fleet === null) throw unknownFleet(id)
            const members = membersOf(await state.fresh(), fleet)
            await terminateAll(tx, account, idsOf(members), nowMs)
            await tx.put('fleet', [id], { ...fleet, deletedAtMs: fleet.deletedAtMs ?? nowMs })
          })
          const view = await state.fresh()
          SuccessfulFleetDeletions.push({
            FleetId: id,
            PreviousFleetState: previous,
            CurrentFleetState: fleetState(view, fleetInView(view, account, id)),
          })
        } catch (error) {
          if (!(error instanceof ApiError)) throw error
          const isUnknown = error.code === 'InvalidFleetId.NotFound'
          const absent = FLEET_ID.test(id) ? 'fleetIdDoesNotExist' : 'fleetIdMalformed'
          const Code = isUnknown ? absent : 'unexpectedError'
          UnsuccessfulFleetDeletions.push({ FleetId: id, Error: { Code, Message: error.message } })
        }
      }
      return { SuccessfulFleetDeletions, UnsuccessfulFleetDeletions }
    },
  }
}

/** Tries the launches in turn until the capacity is there; what refuses one is kept with it. */
async function launchFleet(
  parts: RunParts,
  context: CallContext,
  input: Ec2Inputs['CreateFleet'],
  id: string,
): Promise<void> {
  const left = { ...capacitiesOf(input) }
  for (const [launch, { lifecycle, overrides, run }] of fleetLaunches(input).entries()) {
    const weight = overrides.WeightedCapacity ?? 1
    try {
      while (left[lifecycle] > 0) {
        const MaxCount = Math.min(MAX_AT_ONCE, Math.ceil(left[lifecycle] / weight))
        const asked = { ...run, MinCount: 1, MaxCount }
        const reservation = await startInstances(parts, context, asked, new Map([[FLEET_TAG, id]]))
        const isThere = await changeFleet(parts, context, id, (fleet) => ({
          launched: [...fleet.launched, { launch, reservation }],
        }))
        if (!isThere) return
        const started = membersOf(await parts.state.fresh(), {
          id,
          account: context.caller.account,
        })
        const count = started.filter((one) => one.reservation === reservation).length
        left[lifecycle] -= count * weight
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const { code, message } = error
      const isThere = await changeFleet(parts, context, id, (fleet) => ({
        errors: [...fleet.errors, { launch, code, message }],
      }))
      if (!isThere) return
    }
  }
}

/** False for a fleet that was deleted meanwhile: then what it just launched ends as well. */
async function changeFleet(
  { state }: RunParts,
  { caller: { account }, nowMs }: CallContext,
  id: string,
  change: (fleet: FleetRecord) => Partial<FleetRecord>,
): Promise<boolean> {
  return await state.update(async (tx) => {
    const fleet = await tx.get('fleet', id)
    if (fleet?.deletedAtMs === null) {
      await tx.put('fleet', [id], { ...fleet, ...change(fleet) })
      return true
    }
    const members = membersOf(await state.fresh(), { id, account })
    await terminateAll(tx, account, idsOf(members), nowMs)
    return false
  })
}

function idsOf(records: readonly InstanceRecord[]): string[] {
  return records.map(({ id }) => id)
}

function fleetId(randomHex: RandomHex): string {
  const hex = randomHex(16)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`]
  return ['fleet', ...parts, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-')
}

function fleetInView(view: View, account: string, id: string): FleetRecord {
  const fleet = FLEET_ID.test(id) ? view.get('fleet', id) : null
  if (fleet?.account !== account) throw unknownFleet(id)
  return fleet
}

function unknownFleet(id: string): ApiError {
  const text = `The fleet ID '${id.slice(0, 100)}' does not exist`
  return new ApiError('InvalidFleetId.NotFound', text)
}
