// What rack-join looks at for volumes, before anything changes. A host may store objects without
// them: what is missing is a warning.

import type { Exec } from '../../common/exec.ts'
import { ISCSI_PORT } from '../../common/ports.ts'
import { probeVolumeTools } from '../../common/volume-tools.ts'
import { listLinks } from '../host/ip.ts'
import { listenersAt } from '../host/tgt.ts'
import type { Role } from '../role.ts'
import { type Check, failed, fine, warning } from './checks.ts'

export interface VolumeChecks {
  readonly roles: readonly Role[]
  readonly trunk: string | null
  readonly storageAddress: string | null
}

export async function checkVolumes(
  exec: Exec,
  { roles, trunk, storageAddress }: VolumeChecks,
): Promise<Check[]> {
  const [isSc, isNc] = [roles.includes('sc'), roles.includes('nc')]
  if (!isSc && !isNc) return []
  const { target, initiator, sharing, encrypting, restoring, notes } = await probeVolumeTools(exec)
  const missing = [
    isSc && !target,
    isNc && !initiator,
    isSc && !(sharing && encrypting && restoring),
  ]
  const lacks = missing.includes(true)
  const checks: Check[] = lacks
    ? notes.map((note) => warning('volumes', note))
    : [fine('volumes', 'all there')]
  if (storageAddress !== null) checks.push(await checkAddress(exec, storageAddress))
  else if (isSc && trunk === null) {
    const why = 'no trunk and no --storage-address: volumes are served only to a rack of one host'
    checks.push(warning('storage network', why))
  }
  if (isSc) checks.push(await checkPort(exec))
  return checks
}

async function checkAddress(exec: Exec, address: string): Promise<Check> {
  const name = 'storage network'
  const link = (await listLinks(exec)).find(({ addresses }) =>
    addresses.some(({ cidr }) => cidr.startsWith(`${address}/`)),
  )
  if (link === undefined) return failed(name, `${address} is no address of this host`)
  if (!link.up) return warning(name, `${link.name}, which has ${address}, is down`)
  return fine(name, `${address} on ${link.name}`)
}

/** On any address: the one of the storage network may not be there yet. */
async function checkPort(exec: Exec): Promise<Check> {
  const [other] = await listenersAt(exec, `:${ISCSI_PORT}`)
  if (other === undefined) return fine('iSCSI', `port ${ISCSI_PORT} is free`)
  const why = `${other} listens at port ${ISCSI_PORT}: volumes are served only beside its addresses`
  return warning('iSCSI', why)
}
