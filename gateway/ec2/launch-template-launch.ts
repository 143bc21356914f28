// Launch templates and instances: a RunInstances request that names a template, and
// GetLaunchTemplateData, which says with what an instance could be launched again.

import type { ResponseLaunchTemplateData } from '@aws-sdk/client-ec2'
import type { Authorized, Ec2Handlers, Ec2Inputs } from '../aws/handlers.ts'
import type { InstanceRecord } from '../store/records.ts'
import type { State, View } from '../store/state.ts'
import { namedInView, notFound } from './ids.ts'
import { endDryRun, required } from './input.ts'
import { isBurstable, settingsOf } from './instance-settings.ts'
import { mergedRun } from './launch-template-data.ts'
import { meantBy, templateInView, versionInView } from './launch-template-names.ts'
import { optionsShape } from './metadata-options.ts'
import { instanceProfileOf } from './profile-associations.ts'
import { isSystemTag, type Tags, tagList } from './tagging.ts'
import { zoneName } from './zones.ts'

type RunInput = Ec2Inputs['RunInstances']

/** Tags of instances that a template launched (EC2 user guide, "Launch templates"). */
const TEMPLATE_ID_TAG = 'aws:ec2launchtemplate:id'
const TEMPLATE_VERSION_TAG = 'aws:ec2launchtemplate:version'

/**
 * The request with its template's parameters in it, and the tags that say so; the default version
 * when it names none; of what policies were asked about, the version that they were asked about.
 * Throws what AWS answers to a template or a version that is not there.
 */
export function templateRun(
  view: View,
  account: string,
  { LaunchTemplate: named, ...input }: RunInput,
  authorized?: Authorized,
): { input: RunInput; systemTags: Tags } {
  if (named === undefined) return { input, systemTags: new Map() }
  const asked = authorized === undefined ? named : meantBy(authorized.templates, named)
  const template = templateInView(view, account, asked)
  const version = versionInView(view, template, asked.Version ?? '$Default')
  const systemTags = new Map([
    [TEMPLATE_ID_TAG, template.id],
    [TEMPLATE_VERSION_TAG, String(version.version)],
  ])
  return { input: mergedRun(input, version), systemTags }
}

export function launchTemplateDataHandler({
  state,
  region,
}: {
  state: State
  region: string
}): Required<Pick<Ec2Handlers, 'GetLaunchTemplateData'>> {
  return {
    GetLaunchTemplateData: async ({ caller }, input) => {
      const id = required('InstanceId', input.InstanceId)
      const view = await state.fresh()
      const [record] = namedInView(view, 'instance', [id], caller.account)
      if (record === undefined) throw notFound('instance', [id])
      endDryRun(input)
      return { LaunchTemplateData: dataOf(view, region, record) }
    },
  }
}

function groupName(view: View, { group }: InstanceRecord): string {
  return group === undefined ? '' : (view.get('placement-group', group.id)?.name ?? '')
}

function profileShape(
  view: View,
  { id }: InstanceRecord,
): ResponseLaunchTemplateData['IamInstanceProfile'] {
  const profile = instanceProfileOf(view, id)
  return profile === undefined ? undefined : { Arn: profile.Arn }
}

function settingsShape(record: InstanceRecord): ResponseLaunchTemplateData {
  const settings = settingsOf(record)
  const { shutdownBehavior, capacityReservations, hostnameType } = settings
  return {
    Monitoring: { Enabled: settings.monitoring },
    DisableApiStop: settings.disableApiStop,
    DisableApiTermination: settings.disableApiTermination,
    InstanceInitiatedShutdownBehavior: shutdownBehavior,
    MaintenanceOptions: { AutoRecovery: settings.autoRecovery },
    CapacityReservationSpecification: { CapacityReservationPreference: capacityReservations },
    CreditSpecification: isBurstable(record.type) ? { CpuCredits: 'unlimited' } : undefined,
    // Without it the subnet says, also at the next launch.
    PrivateDnsNameOptions: hostnameType === '' ? undefined : { HostnameType: hostnameType },
  }
}

function dataOf(view: View, region: string, record: InstanceRecord): ResponseLaunchTemplateData {
  const tags = tagList(view, record.id).filter(({ Key = '' }) => !isSystemTag(Key))
  const { State: _, ...options } = optionsShape(record.metadataOptions, 'applied')
  return {
    ImageId: record.image,
    InstanceType: record.type as ResponseLaunchTemplateData['InstanceType'],
    KeyName: record.keyName === '' ? undefined : record.keyName,
    UserData: record.userData === '' ? undefined : record.userData,
    EbsOptimized: false,
    ...settingsShape(record),
    IamInstanceProfile: profileShape(view, record),
    InstanceMarketOptions: record.spot === undefined ? undefined : { MarketType: 'spot' },
    Placement: {
      AvailabilityZone: zoneName(region, record.rack),
      GroupName: groupName(view, record),
      PartitionNumber: record.group?.partition ?? undefined,
      Tenancy: 'default',
    },
    MetadataOptions: options,
    NetworkInterfaces: record.interfaces
      .map((one) => view.get('interface', one))
      .filter((one) => one !== null)
      .map((one) => ({
        DeviceIndex: one.deviceIndex,
        SubnetId: one.subnet,
        Groups: [...one.securityGroups],
        DeleteOnTermination: one.deleteOnTermination,
        Description: one.description,
      })),
    TagSpecifications: tags.length === 0 ? [] : [{ ResourceType: 'instance', Tags: tags }],
  }
}
