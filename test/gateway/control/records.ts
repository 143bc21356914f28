// Records for tests of the control plane: whole ones from the few fields that a test is about.

import type { Secrets } from '../../../gateway/control/desired.ts'
import { MemoryView } from '../../../gateway/store/memory-view.ts'
import type { NetworkAclEntry } from '../../../gateway/store/network-records.ts'
import type {
  HostRecord,
  InstanceRecord,
  InterfaceRecord,
  Records,
  SubnetRecord,
} from '../../../gateway/store/records.ts'
import type { Change } from '../../../gateway/store/store.ts'

export const SECRETS: Secrets = {
  openKey: () => new Uint8Array(32).fill(7),
  sign: (document) => ({ signature: `signed ${document.length}`, signedData: '' }),
  openRole: ({ accessKeyId }) => ({
    secretAccessKey: `secret of ${accessKeyId}`,
    sessionToken: `token of ${accessKeyId}`,
  }),
  openChap: ({ id }) => `secret of ${id}`,
  openVpnKey: ({ number }) => `key of tunnel ${number}`,
  openVolumeKey: ({ id, sealedKey }) => (sealedKey === undefined ? '' : `key of ${id}`),
}

export type Write = readonly [string, object | null]

export const CLOUD: Records['cloud'] = {
  name: 'test',
  region: 'mallee-1',
  fabricPrefix: 'fd12:3456:789a::/48',
  ipv6Pool: 'fd98:7654:3200::/40',
  ipv4Pools: ['10.0.0.0/8'],
  uid: '0'.repeat(32),
  createdAtMs: 0,
}

export function rack(name: string, index: number): Records['rack'] {
  return { name, index, state: 'joined', createdAtMs: 0 }
}

export function host(
  rackName: string,
  name: string,
  index: number,
  publicKey: string,
  connected = true,
): HostRecord {
  return {
    rack: rackName,
    host: name,
    index,
    roles: ['cc', 'nc'],
    keyFingerprint: 'ff',
    simulated: true,
    joinedAtMs: 0,
    status: {
      agentVersion: '1',
      vcpus: 8,
      memoryMib: 8192,
      diskGib: 100,
      accelerator: 'tcg',
      ovsDatapath: 'userspace',
      wireguard: 'userspace',
      wireguardPublicKey: publicKey,
      wireguardEndpoints: publicKey === '' ? [] : [`192.0.2.${index}:51820`],
      connected,
      trouble: '',
      draining: false,
    },
  }
}

export function subnet(id: string, rackName: string, n: number): SubnetRecord {
  return {
    id,
    account: '1',
    vpc: 'vpc-1',
    rack: rackName,
    ipv4Cidr: `10.0.${n}.0/24`,
    ipv6Cidr: `fd98:7654:3200:${n}::/64`,
    vlanTag: 10 + n,
    vni: 5000 + n,
    rackTags: {},
    routeTable: '',
    routeTableAssociation: '',
    acl: '',
    aclAssociation: '',
    mapPublicIpOnLaunch: false,
    assignIpv6OnCreation: true,
    hostnameType: 'ip-name',
    resourceNameDnsA: false,
    resourceNameDnsAaaa: false,
    enableDns64: false,
    isDefault: true,
    createdAtMs: 0,
  }
}

export function instance(id: string, rackName: string, hostName: string): InstanceRecord {
  return {
    id,
    account: '1',
    reservation: 'r-1',
    launchIndex: 0,
    image: 'ami-1',
    type: 't3.nano',
    rack: rackName,
    host: hostName,
    vpc: 'vpc-1',
    subnet: 'subnet-1',
    interfaces: ['eni-1'],
    securityGroups: [],
    userData: '',
    clientToken: '',
    keyName: '',
    publicKey: '',
    metadataOptions: {
      httpEndpoint: true,
      httpProtocolIpv6: false,
      httpTokens: 'required',
      hopLimit: 2,
      instanceTags: false,
    },
    state: 'pending',
    desired: 'running',
    stateReason: null,
    stateTransitionReason: '',
    rebootCount: 0,
    launchedAtMs: 0,
    terminatedAtMs: null,
    observed: null,
  }
}

export function networkInterface(
  id: string,
  of: SubnetRecord,
  hostName: string,
  n: number,
): InterfaceRecord {
  return {
    id,
    account: '1',
    instance: 'i-1',
    attachment: 'eni-attach-1',
    deviceIndex: 0,
    attachedAtMs: 0,
    deleteOnTermination: true,
    ipv4More: [],
    ipv6More: [],
    sourceDestCheck: true,
    description: '',
    type: 'interface',
    vpc: of.vpc,
    subnet: of.id,
    rack: of.rack,
    host: hostName,
    mac: `02:00:00:00:00:${String(n).padStart(2, '0')}`,
    ipv4: of.ipv4Cidr.replace('.0/24', `.${n}`),
    ipv6: of.ipv6Cidr.replace('::/64', `::${n}`),
    hostname: `ip-${n}`,
    securityGroups: [],
    createdAtMs: 0,
  }
}

export function vpc(id: string, n: number, more: Partial<Records['vpc']> = {}): Records['vpc'] {
  return {
    id,
    account: '1',
    ipv4Cidrs: [`10.${n}.0.0/20`],
    ipv6Cidrs: [`fd98:7654:3200:${n}00::/56`],
    isDefault: false,
    dhcpOptions: 'default',
    mainRouteTable: `rtb-${id}`,
    mainAssociation: '',
    defaultAcl: `acl-${id}`,
    enableDnsSupport: true,
    enableDnsHostnames: true,
    createdAtMs: 0,
    ...more,
  }
}

export function rule(id: string, fields: object): object {
  const peer = { ipv4: '', ipv6: '', group: '', prefixList: '' }
  const all = { egress: false, protocol: '-1', fromPort: -1, toPort: -1, description: '' }
  return { id, ...peer, ...all, ...fields }
}

export function group(id: string, of: string, rules: readonly object[]): Write {
  const fields = { account: '1', name: id, description: '', createdAtMs: 0 }
  return [`security-group/${id}`, { id, vpc: of, rules, ...fields }]
}

export function acl(id: string, entries: readonly Partial<NetworkAclEntry>[]): Write {
  const any = { protocol: '-1', cidr: '0.0.0.0/0', fromPort: -1, toPort: -1 }
  const rest = { icmpType: -1, icmpCode: -1, action: 'allow', egress: false }
  return [
    `network-acl/${id}`,
    { id, vpc: 'vpc-1', entries: entries.map((entry) => ({ ...any, ...rest, ...entry })) },
  ]
}

const START: readonly Write[] = [
  ['cloud/self', CLOUD],
  ['rack/a', rack('a', 1)],
  ['rack/b', rack('b', 2)],
  ['host/a/a1', host('a', 'a1', 1, 'A')],
  ['host/b/b1', host('b', 'b1', 1, 'B')],
  ['vpc/vpc-1', vpc('vpc-1', 0)],
  ['subnet/subnet-1', subnet('subnet-1', 'a', 0)],
  ['subnet/subnet-2', subnet('subnet-2', 'b', 1)],
  ['preshared-key/a|b', { pair: 'a|b', sealedKey: 'x' }],
]

/** Two racks with a subnet each of one VPC, and what is written on top. */
export function startView(...more: readonly Write[]): MemoryView {
  const view = new MemoryView()
  view.apply(changesOf([...START, ...more], 1), 1)
  return view
}

export function changesOf(records: readonly Write[], revision: number): Change[] {
  return records.map(([key, record]) => ({
    revision,
    key,
    value: record === null ? null : JSON.stringify(record),
  }))
}
