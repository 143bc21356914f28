// The services whose models setup/gen-aws.ts makes, and what the SDK's schemas do not say of them.

/** `name` is that of the credential scope, and of the model's file; `client` the SDK's package. */
export const SERVICES = [
  {
    name: 'ec2',
    client: 'ec2',
    protocol: 'ec2',
    version: '2016-11-15',
    xmlns: 'http://ec2.amazonaws.com/doc/2016-11-15/',
  },
  {
    name: 'sts',
    client: 'sts',
    protocol: 'query',
    version: '2011-06-15',
    xmlns: 'https://sts.amazonaws.com/doc/2011-06-15/',
  },
  {
    name: 'iam',
    client: 'iam',
    protocol: 'query',
    version: '2010-05-08',
    xmlns: 'https://iam.amazonaws.com/doc/2010-05-08/',
  },
  {
    name: 'autoscaling',
    client: 'auto-scaling',
    protocol: 'query',
    version: '2011-01-01',
    xmlns: 'http://autoscaling.amazonaws.com/doc/2011-01-01/',
  },
  {
    name: 'elasticloadbalancing',
    client: 'elastic-load-balancing-v2',
    protocol: 'query',
    version: '2015-12-01',
    xmlns: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
  },
  {
    name: 's3',
    client: 's3',
    protocol: 'rest',
    version: '2006-03-01',
    xmlns: 'http://s3.amazonaws.com/doc/2006-03-01/',
  },
  {
    name: 'ebs',
    client: 'ebs',
    protocol: 'rest-json',
    version: '2019-11-02',
    xmlns: '',
  },
] as const

/** Operations of S3 that only other endpoints of it have: directory buckets, Object Lambda. */
export const ELSEWHERE: ReadonlySet<string> = new Set([
  'ListDirectoryBuckets',
  'WriteGetObjectResponse',
])

/**
 * Enums whose values a private cloud extends, or whose unknown values AWS refuses by a code of
 * their own; their members are plain strings.
 */
export const OPEN_ENUMS: ReadonlySet<string> = new Set([
  '_InstanceType',
  'VolumeType',
  'BucketLocationConstraint',
])

/** Members that may have a fraction, where the SDK says only "number" (AWS's models: float). */
export const FRACTIONAL: ReadonlySet<string> = new Set([
  'ClientData.UploadSize',
  'ExecutePolicyType.BreachThreshold',
  'ExecutePolicyType.MetricValue',
  'FleetLaunchTemplateOverridesRequest.Priority',
  'FleetLaunchTemplateOverridesRequest.WeightedCapacity',
  'LaunchTemplateOverrides.Priority',
  'LaunchTemplateOverrides.WeightedCapacity',
  'MemoryGiBPerVCpu.Max',
  'MemoryGiBPerVCpu.Min',
  'MemoryGiBPerVCpuRequest.Max',
  'MemoryGiBPerVCpuRequest.Min',
  'NetworkBandwidthGbps.Max',
  'NetworkBandwidthGbps.Min',
  'NetworkBandwidthGbpsRequest.Max',
  'NetworkBandwidthGbpsRequest.Min',
  'PredictiveScalingMetricSpecification.TargetValue',
  'PriceScheduleSpecification.Price',
  'ReservationFleetInstanceSpecification.Weight',
  'ReservedInstanceLimitPrice.Amount',
  'SpotFleetLaunchSpecification.WeightedCapacity',
  'SpotFleetRequestConfigData.FulfilledCapacity',
  'SpotFleetRequestConfigData.OnDemandFulfilledCapacity',
  'StepAdjustment.MetricIntervalLowerBound',
  'StepAdjustment.MetricIntervalUpperBound',
  'TargetTrackingConfiguration.TargetValue',
  'TotalLocalStorageGB.Max',
  'TotalLocalStorageGB.Min',
  'TotalLocalStorageGBRequest.Max',
  'TotalLocalStorageGBRequest.Min',
  'ZonalCapacityReservationState.EffectiveCapacityUnits',
])
