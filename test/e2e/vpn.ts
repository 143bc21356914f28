// VPN connections to two devices that a customer has on the internet, one with WireGuard and one
// with strongSwan, each set up by the configuration that the API gives for it.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SandboxHost, Started } from '../../sandbox/host.ts'
import { setAddresses } from '../../sandbox/net.ts'
import { OUTSIDE } from '../../sandbox/plan.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'
import { at, fetchInGuest, type Guest, PAGE, serveOutside, type Tenant } from './tenant.ts'

export interface VpnTest {
  readonly vpc: string
  /** What the guests' routes are in. */
  readonly tables: readonly string[]
  /** Two guests in two racks that serve pages to anybody. */
  readonly guests: readonly [Guest, Guest]
}

/** The device's address on the internet. */
const DEVICE = '198.18.200.2'
/** Behind it: a prefix and the device's address there, of either family. */
const LAN = [
  { prefix: '192.168.77.0/24', address: '192.168.77.1' },
  { prefix: 'fd77::/64', address: 'fd77::1' },
] as const
const PORT = 8077
const SOON = { timeoutMs: 60_000, everyMs: 500 }

interface DeviceType {
  readonly VpnConnectionDeviceTypeId: string
  readonly Vendor: string
}

interface Telemetry {
  readonly Status: string
}

/** Leaves the device and the VPC as they were. */
export async function assertVpn(world: World, tenant: Tenant, test: VpnTest): Promise<void> {
  const device = world.host(OUTSIDE)
  await device.exec(['ip', 'link', 'add', 'lan0', 'up', 'type', 'bridge'])
  const addresses = LAN.map(({ address }) => address)
  await setAddresses({ host: device, device: 'lan0' }, addresses)
  const pages = await serveOutside(world, PORT)
  const gateway = await tenant.ec2('create-vpn-gateway --type ipsec.1', 'VpnGateway.VpnGatewayId')
  await tenant.ask(`attach-vpn-gateway --vpn-gateway-id ${gateway} --vpc-id ${test.vpc}`)
  for (const table of test.tables) {
    await tenant.ask(
      `enable-vgw-route-propagation --gateway-id ${gateway} --route-table-id ${table}`,
    )
  }
  await assertKind(world, tenant, { ...test, gateway, kind: wireguard })
  await assertKind(world, tenant, { ...test, gateway, kind: strongswan })
  await tenant.ask(`detach-vpn-gateway --vpn-gateway-id ${gateway} --vpc-id ${test.vpc}`)
  await tenant.ask(`delete-vpn-gateway --vpn-gateway-id ${gateway}`)
  await pages.stop()
  await device.exec(['ip', 'link', 'delete', 'lan0'])
}

/** How a device of a vendor is set up by what was downloaded for it. */
interface Kind {
  readonly vendor: string
  /** What `create-customer-gateway` says of it. */
  readonly prepare: (device: SandboxHost) => Promise<string>
  /** Resolves with what takes it away again. */
  readonly setUp: (device: SandboxHost, text: string) => Promise<() => Promise<void>>
}

async function assertKind(
  world: World,
  tenant: Tenant,
  { gateway, guests, kind }: VpnTest & { readonly gateway: string; readonly kind: Kind },
): Promise<void> {
  const device = world.host(OUTSIDE)
  const customer = await tenant.ec2(
    `create-customer-gateway --type ipsec.1 --bgp-asn 65000 --ip-address ${DEVICE}` +
      (await kind.prepare(device)),
    'CustomerGateway.CustomerGatewayId',
  )
  const id = await tenant.ec2(
    `create-vpn-connection --type ipsec.1 --customer-gateway-id ${customer}` +
      ` --vpn-gateway-id ${gateway} --options StaticRoutesOnly=true`,
    'VpnConnection.VpnConnectionId',
  )
  for (const { prefix } of LAN) {
    const line = `create-vpn-connection-route --vpn-connection-id ${id}`
    await tenant.ask(`${line} --destination-cidr-block ${prefix}`)
  }
  await tenant.ask(`wait vpn-connection-available --vpn-connection-ids ${id}`)
  const takeAway = await kind.setUp(device, await downloaded(tenant, id, kind.vendor))
  await until(`a tunnel to ${kind.vendor} is up`, async () => (await up(tenant, id)) > 0, SOON)
  for (const guest of guests) {
    for (const { address } of LAN) {
      const path = `${guest.id} and ${address} over ${kind.vendor}`
      await until(`a page comes over ${path}`, () => hasPage(world, guest, address), SOON)
      assert.ok(await fetches(device, address, guest), `a page goes over ${path}`)
    }
  }
  await tenant.ask(`delete-vpn-connection --vpn-connection-id ${id}`)
  await tenant.ask(`wait vpn-connection-deleted --vpn-connection-ids ${id}`)
  const [guest] = guests
  const isCut = async (): Promise<boolean> => !(await hasPage(world, guest, LAN[0].address))
  await until(`nothing comes over ${kind.vendor} any more`, isCut, SOON)
  await tenant.ask(`delete-customer-gateway --customer-gateway-id ${customer}`)
  await takeAway()
}

async function downloaded(tenant: Tenant, id: string, vendor: string): Promise<string> {
  const answer = await tenant.ask('get-vpn-connection-device-types')
  const types = (answer as { VpnConnectionDeviceTypes: DeviceType[] }).VpnConnectionDeviceTypes
  const type = types.find((one) => one.Vendor === vendor)?.VpnConnectionDeviceTypeId
  const line = `get-vpn-connection-device-sample-configuration --vpn-connection-id ${id}`
  const sample = await tenant.ask(`${line} --vpn-connection-device-type-id ${type}`)
  return at(sample, 'VpnConnectionDeviceSampleConfiguration')
}

/** How many of its tunnels are. */
async function up(tenant: Tenant, id: string): Promise<number> {
  const answer = await tenant.ask(`describe-vpn-connections --vpn-connection-ids ${id}`)
  const [one] = (answer as { VpnConnections: { VgwTelemetry: Telemetry[] }[] }).VpnConnections
  return (one?.VgwTelemetry ?? []).filter(({ Status }) => Status === 'UP').length
}

async function hasPage(world: World, guest: Guest, address: string): Promise<boolean> {
  return (await fetchInGuest(world, guest, address, PORT)).includes('200 OK')
}

/** Somebody behind the device asks for the guest's page. */
async function fetches(device: SandboxHost, from: string, guest: Guest): Promise<boolean> {
  const url = `http://${from.includes(':') ? `[${guest.ipv6}]` : guest.ipv4}${PAGE}`
  const argv = ['curl', '--silent', '--max-time', '8', '--interface', from, url]
  return (await device.exec(argv, { okCodes: [0, 7, 28] })).stdout.startsWith('the-')
}

const wireguard: Kind = {
  vendor: 'WireGuard',
  prepare: async (device) => {
    const { stdout: key } = await device.exec(['wg', 'genkey'])
    const file = join(device.dir, 'device.key')
    await writeFile(file, key, { mode: 0o600 })
    const { stdout } = await device.exec(['sh', '-c', `wg pubkey < ${file}`])
    return ` --device-name wireguard:${stdout.trim()}`
  },
  setUp: async (device, text) => {
    const key = (await readFile(join(device.dir, 'device.key'), 'utf8')).trim()
    const dir = join(device.dir, 'wireguard')
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const files: string[] = []
    for (const part of text.split(/^# File /m).slice(1)) {
      const [path = '', ...lines] = part.split('\n')
      const file = join(dir, path.split('/').at(-1) ?? '')
      const body = lines.join('\n').replace('DEVICE_PRIVATE_KEY', key)
      await writeFile(file, body, { mode: 0o600 })
      files.push(file)
    }
    assert.equal(files.length, 2, text)
    for (const file of files) await device.exec(['wg-quick', 'up', file])
    return async () => {
      for (const file of files) await device.exec(['wg-quick', 'down', file])
    }
  },
}

const strongswan: Kind = {
  vendor: 'strongSwan',
  prepare: async () => '',
  setUp: async (device, text) => {
    const file = join(device.dir, 'swanctl.conf')
    await writeFile(file, text, { mode: 0o600 })
    const socket = `unix://${join(device.dir, 'charon.vici')}`
    const settings = join(device.dir, 'strongswan.conf')
    await writeFile(settings, strongswanConf(socket))
    const env = { STRONGSWAN_CONF: settings }
    const logFile = join(device.dir, 'charon.log')
    const charon: Started = await device.start(['charon-systemd'], { logFile, env })
    const load = ['swanctl', '--load-all', '--file', file, '--uri', socket]
    // The interfaces that the file tells to make need the kernel's IPsec; what is inside does not.
    const inside = [...text.matchAll(/ip address add (\S+) dev/g)].map(([, one = '']) => one)
    await setAddresses({ host: device, device: 'lan0' }, inside)
    await until('charon takes its configuration', () => device.exec(load).then(isTrue, isFalse))
    return () => charon.stop()
  },
}

const isTrue = (): boolean => true
const isFalse = (): boolean => false

/** With what encrypts in user space: this kernel may have no IPsec. */
function strongswanConf(socket: string): string {
  return [
    'charon-systemd {',
    '  load = random nonce openssl kdf kernel-libipsec kernel-netlink socket-default vici',
    `  plugins { vici { socket = ${socket} } }`,
    '}',
    '',
  ].join('\n')
}
