// Bad requests about launch templates and their versions.

import type { Row } from './row.ts'

const LaunchTemplateData = { InstanceType: 't3.nano' }

export const TEMPLATES: readonly Row[] = [
  [
    'a taken name',
    'CreateLaunchTemplate',
    { LaunchTemplateName: 'web', LaunchTemplateData },
    'InvalidLaunchTemplateName.AlreadyExistsException',
  ],
  [
    'a name of 2 characters',
    'CreateLaunchTemplate',
    { LaunchTemplateName: 'ab', LaunchTemplateData },
    'InvalidLaunchTemplateName.MalformedException',
  ],
  [
    'spaces in the name',
    'CreateLaunchTemplate',
    { LaunchTemplateName: 'a b c', LaunchTemplateData },
    'InvalidLaunchTemplateName.MalformedException',
  ],
  ['no name', 'CreateLaunchTemplate', { LaunchTemplateData }, 'MissingParameter'],
  ['no template', 'CreateLaunchTemplateVersion', { LaunchTemplateData }, 'MissingParameter'],
  [
    'a name and an id',
    'CreateLaunchTemplateVersion',
    ({ template }) => ({
      ...{ LaunchTemplateId: template, LaunchTemplateName: 'web', LaunchTemplateData },
    }),
    'InvalidParameterCombination',
  ],
  [
    'an unknown source',
    'CreateLaunchTemplateVersion',
    ({ template }) => ({ LaunchTemplateId: template, SourceVersion: '7', LaunchTemplateData }),
    'InvalidLaunchTemplateId.VersionNotFound',
  ],
  [
    'an unknown version',
    'ModifyLaunchTemplate',
    ({ template }) => ({ LaunchTemplateId: template, DefaultVersion: '7' }),
    'InvalidLaunchTemplateId.VersionNotFound',
  ],
  [
    'a version that is no number',
    'DescribeLaunchTemplateVersions',
    ({ template }) => ({ LaunchTemplateId: template, Versions: ['first'] }),
    'InvalidParameterValue',
  ],
  [
    'an unknown version',
    'DescribeLaunchTemplateVersions',
    ({ template }) => ({ LaunchTemplateId: template, Versions: ['7'] }),
    'InvalidLaunchTemplateId.VersionNotFound',
  ],
  ['nothing named', 'DescribeLaunchTemplateVersions', {}, 'MissingParameter'],
  [
    'no id',
    'DeleteLaunchTemplate',
    { LaunchTemplateId: 'web' },
    'InvalidLaunchTemplateId.Malformed',
  ],
  ['nothing named', 'DeleteLaunchTemplate', {}, 'MissingParameter'],
  [
    'an unknown instance',
    'GetLaunchTemplateData',
    { InstanceId: 'i-0123456789abcdef0' },
    'InvalidInstanceID.NotFound',
  ],
]
