// AssociateVpcCidrBlock, DisassociateVpcCidrBlock.

import type { RandomHex } from '../../common/clock.ts'
import { covers, mustCidr } from '../../topology/cidr.ts'
import { ApiError } from '../aws/api-error.ts'
import type { Ec2Handlers, Ec2Outputs } from '../aws/handlers.ts'
import type { SecurityGroupRecord, VpcRecord } from '../store/records.ts'
import type { State, Transaction, View } from '../store/state.ts'
import { giveBlock } from './blocks.ts'
import type { NetworkParts } from './create-vpc.ts'
import { newGroupRules } from './group-rules.ts'
import { namedInStore } from './ids.ts'
import { refuseUnknown, required } from './input.ts'
import { checkQuotaOf } from './quotas.ts'
import { CIDR_PARAMETERS, type CidrWish, parseVpcCidrs, takeVpcCidr } from './vpc-cidrs.ts'
import { vpcSpace } from './vpc-ground.ts'
import { DEFAULT_GROUP } from './vpc-records.ts'
import { ipv4AssociationOf, ipv6AssociationOf, vpcAssociationId } from './vpcs.ts'

type AssociationHandlers = Required<
  Pick<Ec2Handlers, 'AssociateVpcCidrBlock' | 'DisassociateVpcCidrBlock'>
>

const KNOWN = new Set<string>([...CIDR_PARAMETERS, 'VpcId'])
/** Subnets that a message names. */
const MAX_NAMED = 5

export function vpcAssociationHandlers({
  state,
  randomHex,
  region,
}: NetworkParts): AssociationHandlers {
  return {
    AssociateVpcCidrBlock: async ({ caller }, input) => {
      const id = required('VpcId', input.VpcId)
      refuseUnknown(input, KNOWN, new Map([['Ipv6CidrBlockNetworkBorderGroup', [region]]]))
      const wish = oneWish(parseVpcCidrs(input))
      const cidr = await state.update(async (tx) => {
        const [vpc] = await namedInStore(tx, 'vpc', [id], caller.account)
        if (vpc === undefined) throw new RangeError(`${id} was found and is not there`)
        const count = (wish.family === 4 ? vpc.ipv4Cidrs : vpc.ipv6Cidrs).length
        await checkQuotaOf(tx, vpc, `ipv${wish.family}-blocks-per-vpc`, count)
        const block = await takeVpcCidr(tx, state, vpc, wish)
        if (wish.family === 4) {
          await tx.put('vpc', [id], { ...vpc, ipv4Cidrs: [...vpc.ipv4Cidrs, block] })
        } else {
          await tx.put('vpc', [id], { ...vpc, ipv6Cidrs: [...vpc.ipv6Cidrs, block] })
          if (vpc.ipv6Cidrs.length === 0) await openDefaultGroup(tx, state, randomHex, id)
        }
        return block
      })
      return answerOf(id, wish.family, cidr, region, 'associated')
    },

    DisassociateVpcCidrBlock: async ({ caller }, input) => {
      const association = required('AssociationId', input.AssociationId)
      const { account } = caller
      const { vpc, cidr, family } = await state.update(async (tx) => {
        const found = await associated(tx, await state.fresh(), association, account)
        const { ipv4Cidrs, ipv6Cidrs, id } = found.vpc
        if (found.cidr === ipv4Cidrs[0]) {
          const text = `The vpc CIDR block with association ID ${association} may not be disassociated. It is the primary IPv4 CIDR block of the VPC`
          throw new ApiError('OperationNotPermitted', text)
        }
        checkUnused(await state.fresh(), found)
        await tx.put('vpc', [id], {
          ...found.vpc,
          ipv4Cidrs: ipv4Cidrs.filter((one) => one !== found.cidr),
          ipv6Cidrs: ipv6Cidrs.filter((one) => one !== found.cidr),
        })
        await giveBlock(tx, vpcSpace(found.family), found.cidr)
        return found
      })
      return answerOf(vpc.id, family, cidr, region, 'disassociated')
    },
  }
}

interface Associated {
  readonly vpc: VpcRecord
  readonly cidr: string
  readonly family: 4 | 6
}

function oneWish({ ipv4, ipv6 }: { ipv4: CidrWish | null; ipv6: CidrWish | null }): CidrWish {
  if (ipv4 !== null && ipv6 !== null) {
    const text = 'A request associates one block: of IPv4 or of IPv6'
    throw new ApiError('InvalidParameterCombination', text)
  }
  return required('CidrBlock', ipv4 ?? ipv6 ?? undefined)
}

async function associated(
  tx: Transaction,
  view: View,
  association: string,
  account: string,
): Promise<Associated> {
  const of = (vpc: VpcRecord): string | undefined =>
    [...vpc.ipv4Cidrs, ...vpc.ipv6Cidrs].find(
      (one) => vpcAssociationId(vpc.id, one) === association,
    )
  const seen = view.by('vpc', 'account', account).find((vpc) => of(vpc) !== undefined)
  const vpc = seen === undefined ? null : await tx.get('vpc', seen.id)
  const cidr = vpc === null ? undefined : of(vpc)
  if (vpc === null || cidr === undefined) {
    const text = `The vpc CIDR block association ID '${association}' does not exist`
    throw new ApiError('InvalidVpcCidrBlockAssociationIdError.NotFound', text)
  }
  return { vpc, cidr, family: cidr.includes(':') ? 6 : 4 }
}

function checkUnused(view: View, { vpc, cidr }: Associated): void {
  const block = mustCidr(cidr)
  const inside = view
    .subnetsOf('vpc', vpc.id)
    .filter(({ ipv4Cidr, ipv6Cidr }) =>
      [ipv4Cidr, ipv6Cidr].some((one) => one !== '' && covers(block, mustCidr(one))),
    )
  if (inside.length === 0) return
  const names = inside.slice(0, MAX_NAMED).map((one) => one.id)
  const text = `The CIDR block ${cidr} of ${vpc.id} has subnets: ${names.join(', ')}.`
  throw new ApiError('DependencyViolation', text)
}

/** A default group that lets all IPv4 out lets the new IPv6 out too, as EC2 does it. */
async function openDefaultGroup(
  tx: Transaction,
  state: State,
  randomHex: RandomHex,
  vpc: string,
): Promise<void> {
  const groups = (await state.fresh()).by('security-group', 'vpc', vpc)
  const id = groups.find((one) => one.name === DEFAULT_GROUP)?.id
  const group = id === undefined ? null : await tx.get('security-group', id)
  if (group === null || !letsOut(group, '0.0.0.0/0') || letsOut(group, '::/0')) return
  const more = newGroupRules(randomHex, true).filter((rule) => rule.ipv6 === '::/0')
  await tx.put('security-group', [group.id], { ...group, rules: [...group.rules, ...more] })
}

function letsOut({ rules }: SecurityGroupRecord, cidr: string): boolean {
  return rules.some(
    ({ egress, protocol, ipv4, ipv6 }) =>
      egress && protocol === '-1' && (ipv4 === cidr || ipv6 === cidr),
  )
}

function answerOf(
  id: string,
  family: 4 | 6,
  cidr: string,
  region: string,
  state: 'associated' | 'disassociated',
): Ec2Outputs['AssociateVpcCidrBlock'] {
  return family === 4
    ? { VpcId: id, CidrBlockAssociation: ipv4AssociationOf(id, cidr, state) }
    : { VpcId: id, Ipv6CidrBlockAssociation: ipv6AssociationOf(id, region, cidr, state) }
}
