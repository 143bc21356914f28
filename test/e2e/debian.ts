// A guest that knows nothing of us: Debian with its own systemd, OpenSSH and cloud-init, launched
// as a user would, with a key pair and user data that cloud-init has to install.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exec } from '../../common/exec.ts'
import { OUTSIDE } from '../../sandbox/plan.ts'
import { until } from '../../sandbox/until.ts'
import type { World } from '../../sandbox/world.ts'
import { at, fetchInGuest, fetchOutside, type Guest, PAGE, type Tenant } from './tenant.ts'

const ROOT = join(import.meta.dirname, '../..')
const IMAGES = join(ROOT, '.cache/debian')
/** The script waits as long for somebody else's build. */
const BUILD_MS = 900_000
/** Without KVM, beside other guests. */
const BOOT_MS = 400_000
const SSH_MS = 120_000
const NAME = 'debian-cloud-init'
const KEY = 'laptop'
/** What the user data install on the page. */
const TEXT = 'installed-by-cloud-init'

/** Two files and a command: what cloud-init does before the network and at the end of the boot. */
const USER_DATA = `#cloud-config
write_files:
  - path: /srv/www${PAGE}
    content: |
      ${TEXT}
  - path: /etc/systemd/system/page.service
    content: |
      [Service]
      ExecStart=/usr/bin/python3 -m http.server 80 --bind :: --directory /srv/www
runcmd:
  - [systemctl, start, page.service]
`

export interface Debian extends Guest {
  readonly publicIp: string
  /** The file with the private key, where `outside` sees it. */
  readonly keyFile: string
}

/** The image's file; built if none fits, which takes some minutes. */
export function debianImage(): Promise<string> {
  const script = join(ROOT, 'setup/debian-image.sh')
  const built = exec(['bash', script, IMAGES], { timeoutMs: BUILD_MS })
  const file = built.then(() => join(IMAGES, 'debian.qcow2'))
  // Waited for later; until then its failure is nobody's.
  file.catch(() => undefined)
  return file
}

/** In a public subnet, with an elastic IP, open for SSH and HTTP. It may use IMDSv2 alone. */
export async function launchDebian(
  world: World,
  tenant: Tenant,
  { image, vpc, subnet }: { image: Promise<string>; vpc: string; subnet: string },
): Promise<Debian> {
  const keyFile = join(world.host(OUTSIDE).dir, `${KEY}.pem`)
  const [imageId, group, address] = await Promise.all([
    registerImage(world, tenant, await image),
    openGroup(tenant, vpc),
    tenant.ask('allocate-address --domain vpc'),
    tenant
      .ec2(`create-key-pair --key-name ${KEY} --key-type ed25519`, 'KeyMaterial')
      .then((pem) => writeFile(keyFile, pem, { mode: 0o600 })),
  ])
  const guest = await tenant.run(
    `--image-id ${imageId} --instance-type t3.nano --subnet-id ${subnet} --security-group-ids ${group} --ipv6-address-count 1 --key-name ${KEY} --metadata-options HttpTokens=required`,
    USER_DATA,
  )
  const allocation = at(address, 'AllocationId')
  await tenant.ask(`associate-address --allocation-id ${allocation} --instance-id ${guest.id}`)
  return { ...guest, publicIp: at(address, 'PublicIp'), keyFile }
}

/** What the user data installed is served on the internet and to other guests, in both families. */
export async function assertPage(
  world: World,
  { id, ipv4, ipv6, publicIp }: Debian,
  guests: readonly Guest[],
): Promise<void> {
  const answers = async (): Promise<boolean> => (await fetchOutside(world, publicIp)).includes(TEXT)
  await until(`${publicIp} serves what the user data say`, answers, {
    timeoutMs: BOOT_MS,
    everyMs: 1_000,
  }).catch(async (cause: unknown) => {
    const console = await world.consoleLog(id).catch(String)
    throw new Error(`${id} did not install its user data:\n${console.slice(-4_000)}`, { cause })
  })
  const pages = [await fetchOutside(world, ipv6)]
  for (const from of guests) {
    for (const address of [ipv4, ipv6, publicIp]) {
      pages.push(await fetchInGuest(world, from, address))
    }
  }
  for (const page of pages) assert.match(page, new RegExp(TEXT))
}

/** SSH opens with the launch's key and no other; there cloud-init says whom it asked. */
export async function assertKey(world: World, debian: Debian): Promise<void> {
  const other = join(world.host(OUTSIDE).dir, 'other.pem')
  await exec(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', other])
  const refused = await ssh(world, debian, 'true', other)
  assert.equal(refused.code, 255)
  assert.match(refused.stderr, /Permission denied \(publickey/)
  const { stdout } = await ssh(world, debian, 'hostname; cat /run/cloud-init/result.json')
  assert.match(stdout, new RegExp(`^ip-${debian.ipv4.replaceAll('.', '-')}\\n`))
  assert.match(stdout, /"datasource": "DataSourceEc2Local"/)
  assert.match(stdout, /"errors": \[\]/)
}

async function registerImage(world: World, tenant: Tenant, file: string): Promise<string> {
  await world.gateway.mallee(['image', 'import', file, '--name', NAME])
  return tenant.ec2(`register-image --name ${NAME} --image-location ${NAME}`, 'ImageId')
}

async function openGroup(tenant: Tenant, vpc: string): Promise<string> {
  const group = await tenant.createGroup(vpc, NAME)
  const anybody = 'IpRanges=[{CidrIp=0.0.0.0/0}],Ipv6Ranges=[{CidrIpv6=::/0}]'
  for (const port of [22, 80]) {
    await tenant.allow(group, `IpProtocol=tcp,FromPort=${port},ToPort=${port},${anybody}`)
  }
  return group
}

/** A command in the guest, over SSH from somebody's host on the internet. */
async function ssh(
  world: World,
  { publicIp, keyFile }: Debian,
  command: string,
  key = keyFile,
): Promise<{ stdout: string; stderr: string; code: number }> {
  const options = [
    'BatchMode=yes',
    'ConnectTimeout=60',
    'IdentitiesOnly=yes',
    'LogLevel=ERROR',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
  ].flatMap((option) => ['-o', option])
  const argv = ['ssh', '-F', 'none', '-i', key, ...options, `debian@${publicIp}`, command]
  return world.host(OUTSIDE).exec(argv, { okCodes: [0, 255], timeoutMs: SSH_MS })
}
