// The commands of `mallee`.

import { buildRouteMap } from '@stricli/core'
import { completionRoutes } from '../../common/completion.ts'
import { accountRoutes } from './account.ts'
import { balancerRoutes } from './balancer.ts'
import { bucketRoutes } from './bucket.ts'
import { cloudRoutes } from './cloud.ts'
import { doctorCommand } from './doctor.ts'
import { eventTargetRoutes } from './event-target.ts'
import { gatewayCommand } from './gateway.ts'
import { hostRoutes } from './host.ts'
import { imageRoutes } from './image.ts'
import { initCommand } from './init.ts'
import { keyRoutes } from './key.ts'
import { openApiCommand } from './openapi.ts'
import { peerRoutes } from './peer.ts'
import { poolRoutes } from './pool.ts'
import { quotaRoutes } from './quota.ts'
import { rackRoutes, statusCommand } from './rack.ts'
import { serialConsoleCommand } from './serial-console.ts'
import { snapshotRoutes } from './snapshot.ts'
import { tokenRoutes } from './token.ts'
import { typeRoutes } from './type.ts'
import { volumeRoutes } from './volume.ts'
import { vpnRoutes } from './vpn.ts'
import { identityCertificateCommand, whyCommand } from './why.ts'

export const root = buildRouteMap({
  routes: {
    init: initCommand,
    gateway: gatewayCommand,
    status: statusCommand,
    token: tokenRoutes,
    rack: rackRoutes,
    host: hostRoutes,
    balancer: balancerRoutes,
    volume: volumeRoutes,
    account: accountRoutes,
    key: keyRoutes,
    quota: quotaRoutes,
    image: imageRoutes,
    bucket: bucketRoutes,
    snapshot: snapshotRoutes,
    eventTarget: eventTargetRoutes,
    cloud: cloudRoutes,
    peer: peerRoutes,
    vpn: vpnRoutes,
    pool: poolRoutes,
    type: typeRoutes,
    why: whyCommand,
    identityCertificate: identityCertificateCommand,
    serialConsole: serialConsoleCommand,
    openapi: openApiCommand,
    doctor: doctorCommand,
    completion: completionRoutes('mallee'),
  },
  docs: {
    brief: 'Operate a Mallee cloud',
    fullDescription: [
      'Operate a Mallee cloud. Exit codes: 0 done, 1 failed, 2 bad usage or input,',
      '3 refused, 4 not reachable.',
      '',
      'A first cloud:',
      '  mallee init --name office && mallee gateway',
      '  mallee token create --rack a --roles cc,sc,nc',
      '',
      'Completion in this shell:',
      '  source <(mallee completion bash)',
    ].join('\n'),
  },
})
