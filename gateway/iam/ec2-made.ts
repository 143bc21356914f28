// What conditions may ask of a resource that a call to EC2 makes: it has no record yet, the request
// says all there is.

import { zoneName } from '../ec2/zones.ts'
import { asKeys, ec2Arn, type Keys } from './ec2-keys.ts'
import type { Place } from './ec2-named.ts'

/** Members that the requests of several actions share. */
interface Request {
  readonly VpcId?: string
  readonly SubnetId?: string
  readonly AvailabilityZone?: string
  readonly PeerVpcId?: string
  readonly PeerOwnerId?: string
  readonly KeyType?: string
  readonly Strategy?: string
}

export interface VolumeRequest {
  readonly Size?: number | undefined
  readonly VolumeType?: string | undefined
  readonly Iops?: number | undefined
  readonly Throughput?: number | undefined
  readonly Encrypted?: boolean | undefined
}

export function madeKeys(place: Place, input: object): Keys {
  const request = input as Request & VolumeRequest
  const { VpcId: vpc, SubnetId: subnet, PeerVpcId: peer } = request
  const vpcArn = vpc === undefined ? null : ec2Arn(place, 'vpc', vpc)
  const own = asKeys({
    'ec2:Vpc': vpcArn,
    'ec2:AvailabilityZone': request.AvailabilityZone ?? null,
    'ec2:KeyPairType': request.KeyType ?? null,
    'ec2:PlacementGroupStrategy': request.Strategy ?? null,
  })
  const peering =
    peer === undefined
      ? []
      : asKeys({
          'ec2:RequesterVpc': vpcArn,
          'ec2:AccepterVpc': ec2Arn(
            { ...place, account: request.PeerOwnerId ?? place.account },
            'vpc',
            peer,
          ),
        })
  return new Map([
    ...own,
    ...(subnet === undefined ? [] : subnetKeys(place, subnet)),
    ...peering,
    ...volumeKeys(request),
  ])
}

/** Of what is made in a subnet. */
export function subnetKeys(place: Place, id: string): Keys {
  const subnet = place.view.get('subnet', id)
  if (subnet?.account !== place.account) return new Map()
  return asKeys({
    'ec2:Subnet': ec2Arn(place, 'subnet', id),
    'ec2:Vpc': ec2Arn(place, 'vpc', subnet.vpc),
    'ec2:AvailabilityZone': zoneName(place.region, subnet.rack),
  })
}

export function volumeKeys(volume: VolumeRequest): Keys {
  return asKeys({
    'ec2:VolumeSize': volume.Size ?? null,
    'ec2:VolumeType': volume.VolumeType ?? null,
    'ec2:VolumeIops': volume.Iops ?? null,
    'ec2:VolumeThroughput': volume.Throughput ?? null,
    'ec2:Encrypted': volume.Encrypted ?? null,
  })
}
