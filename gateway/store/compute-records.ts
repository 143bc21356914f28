// The records of what instances are launched by and where they go: templates and their versions,
// and what is on a host. Keys and the table of all kinds: records.ts.

import type { CreateFleetRequest, RequestLaunchTemplateData } from '@aws-sdk/client-ec2'

export interface LaunchTemplateRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  /** ARN of who made it. */
  readonly createdBy: string
  readonly createdAtMs: number
  readonly defaultVersion: number
  /** The numbers of those that are there, ascending; never empty. */
  readonly versions: readonly number[]
  /** The highest number that was ever given: none is given twice. */
  readonly lastVersion: number
}

/** One version, by template and number. It never changes. */
export interface LaunchTemplateVersionRecord {
  readonly template: string
  readonly account: string
  readonly version: number
  readonly description: string
  readonly createdBy: string
  readonly createdAtMs: number
  /** As it was sent; a time in it is text here. */
  readonly data: RequestLaunchTemplateData
}

/** How many instances were ever placed on a host. Who places one more must have seen them all. */
interface PlacedRecord {
  readonly rack: string
  readonly host: string
  readonly count: number
}

/** An instance type of the operator's making; of a default type's name it stands in for that. */
export interface InstanceTypeRecord {
  readonly name: string
  /** false: the operator took a default type away. */
  readonly offered: boolean
  readonly vcpus: number
  readonly memoryMib: number
  readonly diskGib: number
  readonly interfaces: number
  readonly addresses: number
  readonly createdAtMs: number
}

export interface PlacementGroupRecord {
  readonly id: string
  readonly account: string
  readonly name: string
  readonly strategy: 'cluster' | 'spread' | 'partition'
  /** Of a spread group: what two of its instances never share. */
  readonly level: 'rack' | 'host'
  /** 1 to 7 of a partition group, else 0. */
  readonly partitions: number
  /** Launches into it so far. Who launches one more must have seen the instances of them all. */
  readonly launches: number
  readonly createdAtMs: number
}

/** A fleet of the type instant. Its instances are those with its tag. */
export interface FleetRecord {
  readonly id: string
  readonly account: string
  readonly clientToken: string
  readonly request: Pick<
    CreateFleetRequest,
    'LaunchTemplateConfigs' | 'TargetCapacitySpecification' | 'OnDemandOptions' | 'SpotOptions'
  >
  /** By the number of the launch among those of the request. */
  readonly launched: readonly { readonly launch: number; readonly reservation: string }[]
  readonly errors: readonly {
    readonly launch: number
    readonly code: string
    readonly message: string
  }[]
  readonly createdAtMs: number
  readonly deletedAtMs: number | null
}

/** What an account may have of something, when the operator said it (ec2/quotas.ts). */
export interface QuotaRecord {
  readonly account: string
  readonly id: string
  readonly value: number
}

export interface ComputeRecords {
  /** `<account>/<id>`. */
  quota: QuotaRecord
  fleet: FleetRecord
  'placement-group': PlacementGroupRecord
  /** By its name. */
  'instance-type': InstanceTypeRecord
  placed: PlacedRecord
  'launch-template': LaunchTemplateRecord
  /** `<template>/<number>`. */
  'launch-template-version': LaunchTemplateVersionRecord
}
