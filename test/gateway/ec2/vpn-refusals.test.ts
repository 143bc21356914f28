// What CreateVpnConnection refuses: everything that nobody would act on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CreateVpnConnectionCommandInput } from '@aws-sdk/client-ec2'
import { OTHER_ACCOUNT, refusal, refused } from './support.ts'
import { connect, openVpnGround, STATIC } from './vpn-ground.ts'

const tunnel = (one: object): Partial<CreateVpnConnectionCommandInput> => ({
  Options: { ...STATIC, TunnelOptions: [one] },
})
const options = (more: object): Partial<CreateVpnConnectionCommandInput> => ({
  Options: { ...STATIC, ...more },
})
const REFUSED: readonly (readonly [what: string, change: object, code: string, says: RegExp])[] = [
  ['routes by BGP', { Options: {} }, 'UnsupportedOperation', /StaticRoutesOnly must be true/],
  ['another type', { Type: 'ipsec.2' }, 'InvalidParameterValue', /ipsec\.1/],
  ['no VPN gateway', { VpnGatewayId: undefined }, 'MissingParameter', /VpnGatewayId/],
  ['a transit gateway', { TransitGatewayId: 'tgw-1' }, 'UnsupportedOperation', /TransitGatewayId/],
  [
    'a key elsewhere',
    { PreSharedKeyStorage: 'SecretsManager' },
    'UnsupportedOperation',
    /PreSharedKeyStorage/,
  ],
  ['acceleration', options({ EnableAcceleration: true }), 'UnsupportedOperation', /Acceleration/],
  ['large tunnels', options({ TunnelBandwidth: 'large' }), 'UnsupportedOperation', /large/],
  [
    'IPv6 inside',
    options({ TunnelInsideIpVersion: 'ipv6' }),
    'UnsupportedOperation',
    /TunnelInsideIpVersion/,
  ],
  [
    'a narrow local side',
    options({ LocalIpv4NetworkCidr: '10.0.0.0/8' }),
    'UnsupportedOperation',
    /LocalIpv4NetworkCidr.*0\.0\.0\.0\/0/,
  ],
  [
    'a private device',
    options({ OutsideIpAddressType: 'PrivateIpv4' }),
    'UnsupportedOperation',
    /PrivateIpv4/,
  ],
  [
    'an IPv6 device',
    options({ OutsideIpAddressType: 'Ipv6' }),
    'InvalidParameterValue',
    /198\.51\.100\.7/,
  ],
  ['three tunnels', options({ TunnelOptions: [{}, {}, {}] }), 'InvalidParameterValue', /3 tunnels/],
  ['a short key', tunnel({ PreSharedKey: 'short' }), 'InvalidParameterValue', /8 to 64/],
  ['a key of zero', tunnel({ PreSharedKey: '0therwise.good' }), 'InvalidParameterValue', /zero/],
  ['a key with a dash', tunnel({ PreSharedKey: 'not-so-good' }), 'InvalidParameterValue', /digits/],
  ['a public block', tunnel({ TunnelInsideCidr: '10.0.0.0/30' }), 'InvalidParameterValue', /169/],
  ['a large block', tunnel({ TunnelInsideCidr: '169.254.9.0/29' }), 'InvalidParameterValue', /30/],
  [
    'a reserved block',
    tunnel({ TunnelInsideCidr: '169.254.5.0/30' }),
    'InvalidParameterValue',
    /reserved/,
  ],
  [
    'the block of services',
    tunnel({ TunnelInsideCidr: '169.254.169.4/30' }),
    'InvalidParameterValue',
    /reserved/,
  ],
  [
    'one block twice',
    options({ TunnelOptions: Array(2).fill({ TunnelInsideCidr: '169.254.9.0/30' }) }),
    'InvalidParameterValue',
    /first tunnel/,
  ],
  [
    'an IPv6 block',
    tunnel({ TunnelInsideIpv6Cidr: 'fd00::/126' }),
    'UnsupportedOperation',
    /TunnelInsideIpv6Cidr/,
  ],
  [
    'ikev1 alone',
    tunnel({ IKEVersions: [{ Value: 'ikev1' }] }),
    'UnsupportedOperation',
    /ikev1 alone/,
  ],
  ['ikev3', tunnel({ IKEVersions: [{ Value: 'ikev3' }] }), 'InvalidParameterValue', /ikev3/],
  [
    'DES',
    tunnel({ Phase1EncryptionAlgorithms: [{ Value: 'DES' }] }),
    'InvalidParameterValue',
    /AES256/,
  ],
  [
    'MD5',
    tunnel({ Phase2IntegrityAlgorithms: [{ Value: 'MD5' }] }),
    'InvalidParameterValue',
    /MD5/,
  ],
  [
    'group 5 in phase 1',
    tunnel({ Phase1DHGroupNumbers: [{ Value: 5 }] }),
    'InvalidParameterValue',
    /Phase1DHGroupNumbers/,
  ],
  ['a long phase 1', tunnel({ Phase1LifetimeSeconds: 28_801 }), 'InvalidParameterValue', /28800/],
  ['a long phase 2', tunnel({ Phase2LifetimeSeconds: 3_601 }), 'InvalidParameterValue', /3600/],
  [
    'a phase 2 as long as phase 1',
    tunnel({ Phase1LifetimeSeconds: 900, Phase2LifetimeSeconds: 900 }),
    'InvalidParameterValue',
    /less than Phase1LifetimeSeconds/,
  ],
  ['a short silence', tunnel({ DPDTimeoutSeconds: 29 }), 'InvalidParameterValue', /30/],
  ['no such action', tunnel({ DPDTimeoutAction: 'hold' }), 'InvalidParameterValue', /restart/],
  ['no action', tunnel({ DPDTimeoutAction: 'none' }), 'InvalidParameterValue', /clear, restart/],
  ['no such startup', tunnel({ StartupAction: 'dial' }), 'InvalidParameterValue', /start/],
  ['a rekey margin', tunnel({ RekeyMarginTimeSeconds: 100 }), 'UnsupportedOperation', /Rekey/],
  ['a replay window', tunnel({ ReplayWindowSize: 64 }), 'UnsupportedOperation', /ReplayWindow/],
  [
    'logs',
    tunnel({ LogOptions: { CloudWatchLogOptions: { LogEnabled: true } } }),
    'UnsupportedOperation',
    /LogOptions/,
  ],
  [
    'lifecycle control',
    tunnel({ EnableTunnelLifecycleControl: true }),
    'UnsupportedOperation',
    /Lifecycle/,
  ],
  ['a dry run', { DryRun: true }, 'DryRunOperation', /would have succeeded/],
]

test('CreateVpnConnection refuses what nobody would act on, and keeps nothing', async (t) => {
  const ground = await openVpnGround(t)
  const { cloud, ipsec, wireguard, vpnGateway } = ground
  const good = { Type: 'ipsec.1', CustomerGatewayId: ipsec, VpnGatewayId: vpnGateway }
  for (const [what, change, code, says] of REFUSED) {
    const asked = { ...good, Options: STATIC, ...change }
    const answer = await refused(cloud.call('CreateVpnConnection', asked))
    assert.equal(answer.code, code, what)
    assert.match(answer.message, says, what)
    const key = asked.Options.TunnelOptions?.[0]?.PreSharedKey
    if (key !== undefined) assert.ok(!answer.message.includes(key), 'a key is a secret')
  }
  for (const one of [{ StartupAction: 'start' }, { Phase1LifetimeSeconds: 7_200 }]) {
    const answer = await refused(connect(ground, wireguard, { ...STATIC, TunnelOptions: [one] }))
    assert.equal(answer.code, 'InvalidParameterCombination')
    assert.match(answer.message, /WireGuard/)
  }
  const foreign = cloud.call(
    ...(['CreateVpnConnection', { ...good, Options: STATIC }] as const),
    ...([{ account: OTHER_ACCOUNT }] as const),
  )
  assert.equal(await refusal(foreign), 'InvalidCustomerGatewayID.NotFound')
  const view = await cloud.state.fresh()
  assert.deepEqual(view.all('vpn-connection'), [])
  assert.deepEqual(view.withPrefix('name', 'vpn-inside/'), [])
})
