// What customers' devices are given: whole files, as their tools read them.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { exec } from '../../../common/exec.ts'
import { missingOf } from '../../../gateway/vpn/configuration.ts'
import { strongswanConfiguration } from '../../../gateway/vpn/configuration-strongswan.ts'
import {
  PRIVATE_KEY,
  wireguardConfiguration,
} from '../../../gateway/vpn/configuration-wireguard.ts'
import { xmlConfiguration } from '../../../gateway/vpn/configuration-xml.ts'
import { IPSEC, tunnel, WIREGUARD } from './configurations.ts'

const WG_QUICK = '/usr/bin/wg-quick'

const SWANCTL = `\
# VPN connection vpn-0123456789abcdef0 for strongSwan 5.9 or later: IKEv2 with pre-shared keys.
#
# 1. Save this as /etc/swanctl/conf.d/vpn-0123456789abcdef0.conf, readable by root alone.
# 2. Make an interface for each tunnel, and routes. Where the device itself talks to the cloud,
#    add "src" and an address of its own that is in local_ts.
#      ip link add vpn01234567-1 type xfrm if_id 7
#      ip link set vpn01234567-1 mtu 1390 up
#      ip address add 169.254.16.6/30 dev vpn01234567-1
#      sysctl -w net.ipv4.conf.vpn01234567-1.rp_filter=2
#      ip -4 route replace 10.0.0.0/16 dev vpn01234567-1 metric 100
#      ip link add vpn01234567-2 type xfrm if_id 8
#      ip link set vpn01234567-2 mtu 1390 up
#      ip address add 169.254.16.10/30 dev vpn01234567-2
#      sysctl -w net.ipv4.conf.vpn01234567-2.rp_filter=2
#      ip -4 route replace 10.0.0.0/16 dev vpn01234567-2 metric 200
# 3. swanctl --load-all
# 4. To forward for the networks behind the device: sysctl -w net.ipv4.ip_forward=1
#
# When the routes of the connection or the blocks of the VPC change, get this file again.
#
# Both tunnels lead to the same networks: routes by the first have metric 100, those by the
# second 200. The cloud answers by the first that is up. So that the device leaves one that
# is down, let this run there:
#
#   while sleep 5; do
#     if swanctl --list-sas --child vpn-0123456789abcdef0-1 | grep -q INSTALLED; then
#       ip -4 route replace 10.0.0.0/16 dev vpn01234567-1 metric 100
#     else
#       ip -4 route del 10.0.0.0/16 dev vpn01234567-1 metric 100 2> /dev/null
#     fi
#   done

connections {
  vpn-0123456789abcdef0-1 {
    version = 2
    remote_addrs = 203.0.113.1
    proposals = aes256gcm16-prfsha384-ecp384
    encap = yes
    mobike = no
    keyingtries = 0
    dpd_delay = 10s
    rekey_time = 26181s
    if_id_in = 7
    if_id_out = 7
    local {
      auth = psk
      id = 198.51.100.7
    }
    remote {
      auth = psk
      id = 203.0.113.1
    }
    children {
      vpn-0123456789abcdef0-1 {
        local_ts = 192.168.0.0/16, 172.16.0.0/24, 169.254.16.6/32
        remote_ts = 10.0.0.0/16, 169.254.16.5/32
        esp_proposals = aes256gcm16-ecp384
        rekey_time = 3272s
        life_time = 3600s
        start_action = start
        close_action = start
        dpd_action = restart
      }
    }
  }
  vpn-0123456789abcdef0-2 {
    version = 2
    remote_addrs = 203.0.113.2
    proposals = aes256gcm16-prfsha384-ecp384
    encap = yes
    mobike = no
    keyingtries = 0
    dpd_delay = 10s
    rekey_time = 26181s
    if_id_in = 8
    if_id_out = 8
    local {
      auth = psk
      id = 198.51.100.7
    }
    remote {
      auth = psk
      id = 203.0.113.2
    }
    children {
      vpn-0123456789abcdef0-2 {
        local_ts = 192.168.0.0/16, 172.16.0.0/24, 169.254.16.10/32
        remote_ts = 10.0.0.0/16, 169.254.16.9/32
        esp_proposals = aes256gcm16-ecp384
        rekey_time = 3272s
        life_time = 3600s
        start_action = start
        close_action = start
        dpd_action = restart
      }
    }
  }
}

secrets {
  ike-vpn-0123456789abcdef0-1 {
    id = 203.0.113.1
    secret = "key.of.tunnel_1"
  }
  ike-vpn-0123456789abcdef0-2 {
    id = 203.0.113.2
    secret = "key.of.tunnel_2"
  }
}
`

const WG = `\
# VPN connection vpn-0123456789abcdef0 for a WireGuard device, with wg-quick(8).
#
# 1. Save what follows a line "# File" as that file, readable by root alone.
# 2. In each of them put the private key instead of DEVICE_PRIVATE_KEY: the one whose public key
#    is CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=
# 3. wg-quick up vpn01234567-1; wg-quick up vpn01234567-2
# 4. To forward for the networks behind the device: sysctl -w net.ipv4.ip_forward=1
#    Where the device itself talks to the cloud, add to the routes "src" and an address of its
#    own that is in a route of the connection.
#
# Both tunnels lead to the same networks: routes by the first have metric 100, those by the
# second 200. The cloud answers by the first that is up. So that the device leaves one that
# is down, let this run there:
#
#   while sleep 5; do
#     if ping -c 3 -W 2 -q -I vpn01234567-1 169.254.16.5 > /dev/null; then
#       ip -4 route replace 10.0.0.0/16 dev vpn01234567-1 metric 100
#       ip -6 route replace fd98:7654:3200::/56 dev vpn01234567-1 metric 100
#     else
#       ip -4 route del 10.0.0.0/16 dev vpn01234567-1 metric 100 2> /dev/null
#       ip -6 route del fd98:7654:3200::/56 dev vpn01234567-1 metric 100 2> /dev/null
#     fi
#   done

# File /etc/wireguard/vpn01234567-1.conf
[Interface]
Address = 169.254.16.6/30
PrivateKey = DEVICE_PRIVATE_KEY
ListenPort = 44007
MTU = 1420
Table = off
PostUp = sysctl -q -w net.ipv4.conf.%i.rp_filter=2
PostUp = ip -4 route replace 10.0.0.0/16 dev %i metric 100
PostUp = ip -6 route replace fd98:7654:3200::/56 dev %i metric 100

[Peer]
PublicKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
PresharedKey = Rm5UzmhMXZZT4G5lBNxVJph8NCLebxVYldkt8SFbywY=
AllowedIPs = 169.254.16.4/30, 10.0.0.0/16, fd98:7654:3200::/56
Endpoint = 203.0.113.1:44007
PersistentKeepalive = 25

# File /etc/wireguard/vpn01234567-2.conf
[Interface]
Address = 169.254.16.10/30
PrivateKey = DEVICE_PRIVATE_KEY
ListenPort = 44008
MTU = 1420
Table = off
PostUp = sysctl -q -w net.ipv4.conf.%i.rp_filter=2
PostUp = ip -4 route replace 10.0.0.0/16 dev %i metric 200
PostUp = ip -6 route replace fd98:7654:3200::/56 dev %i metric 200

[Peer]
PublicKey = AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=
PresharedKey = 8gv02oTrjOqomoVpInfU3Jej1JOB2bFf41CGsvscUvM=
AllowedIPs = 169.254.16.8/30, 10.0.0.0/16, fd98:7654:3200::/56
Endpoint = 203.0.113.2:44008
PersistentKeepalive = 25
`

test('a device with strongSwan gets a file for swanctl', () => {
  assert.equal(strongswanConfiguration(IPSEC), SWANCTL)
})

test('a WireGuard device gets two files for wg-quick', () => {
  assert.equal(wireguardConfiguration(WIREGUARD), WG)
})

test('wg-quick reads the files', { skip: !existsSync(WG_QUICK) && 'no wg-quick' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mallee-vpn-'))
  t.after(() => rm(folder, { recursive: true }))
  const files = wireguardConfiguration(WIREGUARD)
    .split(/^# File \/etc\/wireguard\//m)
    .slice(1)
  assert.equal(files.length, 2)
  for (const [i, file] of files.entries()) {
    const [name = '', ...lines] = file.split('\n')
    const path = join(folder, name)
    const text = lines.join('\n').replace(PRIVATE_KEY, Buffer.alloc(32, 9).toString('base64'))
    await writeFile(path, text, { mode: 0o600 })
    const { stdout } = await exec([WG_QUICK, 'strip', path], { timeoutMs: 10_000 })
    assert.match(stdout, new RegExp(`Endpoint = 203\\.0\\.113\\.${i + 1}:4400${i + 7}`))
    assert.doesNotMatch(stdout, /PostUp|Address|MTU/)
  }
})

test('the XML has what clients look for, of each tunnel in turn', () => {
  const xml = xmlConfiguration(IPSEC)
  assert.match(xml, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<vpn_connection id="vpn-0123/)
  const all = (path: string): string[] =>
    [...xml.matchAll(new RegExp(path, 'gs'))].map(([, found = '']) => found)
  assert.equal(all('(<ipsec_tunnel>)').length, 2)
  assert.deepEqual(all('<pre_shared_key>([^<]*)'), ['key.of.tunnel_1', 'key.of.tunnel_2'])
  const outside = '.*?<tunnel_outside_address>\\s*<ip_address>([^<]*)'
  assert.deepEqual(all(`<vpn_gateway>${outside}`), ['203.0.113.1', '203.0.113.2'])
  assert.deepEqual(all(`<customer_gateway>${outside}`), ['198.51.100.7', '198.51.100.7'])
  const inside = '.*?<tunnel_inside_address>\\s*<ip_address>([^<]*)'
  assert.deepEqual(all(`<vpn_gateway>${inside}`), ['169.254.16.5', '169.254.16.9'])
  assert.deepEqual(all(`<customer_gateway>${inside}`), ['169.254.16.6', '169.254.16.10'])
  assert.deepEqual(all('<encryption_protocol>([^<]*)'), Array(4).fill('aes-256-gcm-16'))
  const dialled = xmlConfiguration(WIREGUARD)
  assert.match(dialled, /<vpn_gateway_endpoint>203\.0\.113\.2:44008</)
  assert.doesNotMatch(dialled, /<ipsec>/)
})

test('a connection whose second tunnel nobody holds has files of one', () => {
  const [first = tunnel(1)] = WIREGUARD.tunnels
  const alone = tunnel(2, { isHeld: false, endpoint: '', address: '' })
  for (const text of [
    strongswanConfiguration({ ...IPSEC, tunnels: [tunnel(1), alone] }),
    wireguardConfiguration({ ...WIREGUARD, tunnels: [first, alone] }),
  ]) {
    assert.match(text, /The other tunnel is not there/)
    assert.doesNotMatch(text, /-2|while sleep/)
  }
})

test('missingOf says what stands between a connection and its files', () => {
  assert.equal(missingOf(IPSEC), null)
  assert.equal(missingOf(WIREGUARD), null)
  assert.equal(missingOf({ ...WIREGUARD, routes: [] }), null)
  assert.match(missingOf({ ...IPSEC, routes: [] }) ?? '', /no routes/)
  assert.match(missingOf({ ...IPSEC, vpcCidrs: [] }) ?? '', /vgw-1 is attached to no VPC/)
  const nowhere = tunnel(2, { isHeld: false, endpoint: '' })
  assert.equal(missingOf({ ...IPSEC, tunnels: [tunnel(1), nowhere] }), null)
  assert.match(missingOf({ ...IPSEC, tunnels: [nowhere] }) ?? '', /No host/)
  const silent = tunnel(2, { endpoint: '' })
  assert.match(missingOf({ ...IPSEC, tunnels: [tunnel(1), silent] }) ?? '', /tunnel 2 has not said/)
  assert.match(missingOf({ ...WIREGUARD, tunnels: [tunnel(1)] }) ?? '', /tunnel 1 has not said/)
})
