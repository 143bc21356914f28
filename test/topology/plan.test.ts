// From numbers to prefixes and addresses: each number its own, nothing outside its space.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Cidr,
  contains,
  covers,
  formatAddress,
  formatCidr,
  mustAddress,
  mustCidr,
  overlaps,
} from '../../topology/cidr.ts'
import {
  isVlanTag,
  parseHostIndex,
  parseRackIndex,
  parseVlanTag,
  parseVni,
} from '../../topology/ids.ts'
import {
  fabricPrefix,
  gatewayIpv4,
  gatewayIpv6,
  gatewayMac,
  hostFabric,
  ipv4Hosts,
  ipv4Of,
  ipv6Of,
  ipv6Pool,
  linkLocalOf,
  macOf,
  rackFabric,
  storageAddress,
  storageNetwork,
  subnetIpv4,
  subnetIpv6,
  vpcIpv4,
  vpcIpv6,
} from '../../topology/plan.ts'
import {
  HOST_INDEXES,
  MACS,
  RACK_INDEXES,
  STORAGE_VLAN_TAG,
  VLAN_TAGS,
} from '../../topology/ranges.ts'
import { within } from './arbitraries.ts'

const FABRIC = fabricPrefix('0123456789')
const PRIVATE = mustCidr('10.0.0.0/8')

function text(c: Cidr | null): string | null {
  return c === null ? null : formatCidr(c)
}

test('fabricPrefix and ipv6Pool put their digits behind fd', () => {
  assert.equal(text(FABRIC), 'fd01:2345:6789::/48')
  assert.equal(text(ipv6Pool('ABCDEF01')), 'fdab:cdef:100::/40')
  for (const bad of ['', '012345678', '01234567890', '012345678g', '0x12345678']) {
    assert.throws(() => fabricPrefix(bad), /RangeError: .* is not 10 hex digits/)
  }
  assert.throws(() => ipv6Pool('0123456789'), /is not 8 hex digits/)
})

test('rackFabric gives every rack its own /64 inside the fabric', () => {
  const index = fc.integer({ min: RACK_INDEXES.first, max: RACK_INDEXES.last })
  fc.assert(
    fc.property(index, index, (a, b) => {
      assert.ok(covers(FABRIC, rackFabric(FABRIC, a)))
      assert.equal(overlaps(rackFabric(FABRIC, a), rackFabric(FABRIC, b)), a === b)
    }),
  )
  assert.equal(text(rackFabric(FABRIC, 1)), 'fd01:2345:6789:1::/64')
  assert.equal(text(rackFabric(FABRIC, 65_535)), 'fd01:2345:6789:ffff::/64')
  for (const bad of [0, 65_536, 1.5, -1]) {
    assert.throws(() => rackFabric(FABRIC, bad), /rack index/)
  }
})

test('hostFabric is inside its rack and nobody else has it', () => {
  const place = fc.tuple(
    fc.integer({ min: RACK_INDEXES.first, max: RACK_INDEXES.last }),
    fc.integer({ min: HOST_INDEXES.first, max: HOST_INDEXES.last }),
  )
  fc.assert(
    fc.property(place, place, (a, b) => {
      const address = hostFabric(FABRIC, ...a)
      assert.ok(contains(rackFabric(FABRIC, a[0]), address))
      const same = a[0] === b[0] && a[1] === b[1]
      assert.equal(address.value === hostFabric(FABRIC, ...b).value, same)
    }),
  )
  assert.equal(formatAddress(hostFabric(FABRIC, 7, 3)), 'fd01:2345:6789:7::3')
  assert.throws(() => hostFabric(FABRIC, 7, 0), /host index 0 is not within 1..4095/)
})

test('storageAddress is in the network of its rack, and no host has it as its own', () => {
  const rack = fc.integer({ min: RACK_INDEXES.first, max: RACK_INDEXES.last })
  const host = fc.integer({ min: HOST_INDEXES.first, max: HOST_INDEXES.last })
  const place = fc.tuple(rack, host)
  fc.assert(
    fc.property(place, place, (a, b) => {
      const address = storageAddress(FABRIC, ...a)
      const network = storageNetwork(FABRIC, a[0])
      assert.ok(contains(network, address))
      assert.ok(covers(rackFabric(FABRIC, a[0]), network))
      assert.equal(overlaps(network, storageNetwork(FABRIC, b[0])), a[0] === b[0])
      assert.equal(contains(network, hostFabric(FABRIC, ...b)), false)
      const same = a[0] === b[0] && a[1] === b[1]
      assert.equal(address.value === storageAddress(FABRIC, ...b).value, same)
    }),
  )
  assert.equal(text(storageNetwork(FABRIC, 7)), 'fd01:2345:6789:7:1::/80')
  assert.equal(formatAddress(storageAddress(FABRIC, 7, 3)), 'fd01:2345:6789:7:1::3')
  assert.throws(() => storageAddress(FABRIC, 7, 0), /host index 0 is not within 1..4095/)
})

for (const [n, want] of [
  [0, '10.0.0.0/20'],
  [1, '10.0.16.0/20'],
  [4095, '10.255.240.0/20'],
  [4096, '192.168.0.0/20'],
  [4111, '192.168.240.0/20'],
  [4112, null],
] as const) {
  test(`vpcIpv4 number ${n} over 10/8, a /24 too small and 192.168/16 is ${want}`, () => {
    const pools = [PRIVATE, mustCidr('172.16.0.0/24'), mustCidr('192.168.0.0/16')]
    assert.equal(text(vpcIpv4(pools, n)), want)
  })
}

test('vpcIpv6, subnetIpv4 and subnetIpv6 count through their blocks and end with null', () => {
  const pool = ipv6Pool('00000001')
  assert.equal(text(vpcIpv6(pool, 1)), 'fd00:0:100:100::/56')
  assert.notEqual(vpcIpv6(pool, 65_535), null)
  assert.equal(vpcIpv6(pool, 65_536), null)
  const vpc = [mustCidr('10.0.16.0/20'), mustCidr('10.9.0.0/23')]
  assert.equal(text(subnetIpv4(vpc, 15)), '10.0.31.0/24')
  assert.equal(text(subnetIpv4(vpc, 17)), '10.9.1.0/24')
  assert.equal(subnetIpv4(vpc, 18), null)
  const vpc6 = mustCidr('fd00:0:100:100::/56')
  assert.equal(text(subnetIpv6(vpc6, 255)), 'fd00:0:100:1ff::/64')
  assert.equal(subnetIpv6(vpc6, 256), null)
})

test('two subnets overlap only when VPC and subnet number are the same', () => {
  const numbers = fc.tuple(fc.nat(4095), fc.nat(15))
  const subnet = ([vpc, n]: [number, number]): Cidr => {
    const block = vpcIpv4([PRIVATE], vpc)
    const found = block === null ? null : subnetIpv4([block], n)
    assert.ok(found !== null)
    return found
  }
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      assert.equal(overlaps(subnet(a), subnet(b)), a[0] === b[0] && a[1] === b[1])
    }),
  )
})

test('macOf is unicast, locally administered, and another one for another number', () => {
  const number = fc.integer({ min: MACS.first, max: MACS.last })
  fc.assert(
    fc.property(number, number, (a, b) => {
      assert.match(macOf(a), /^02(?::[0-9a-f]{2}){5}$/)
      assert.equal(Number.parseInt(macOf(a).slice(3).replaceAll(':', ''), 16), a)
      assert.equal(macOf(a) === macOf(b), a === b)
    }),
  )
  assert.equal(macOf(1), '02:00:00:00:00:01')
  assert.equal(macOf(MACS.last), '02:ff:ff:ff:ff:ff')
  assert.throws(() => macOf(0), RangeError)
  assert.throws(() => macOf(2 ** 40), RangeError)
})

test('gatewayMac differs between racks, hosts and networks, and from every macOf', () => {
  const place = fc.tuple(
    fc.integer({ min: RACK_INDEXES.first, max: RACK_INDEXES.last }),
    fc.integer({ min: HOST_INDEXES.first, max: HOST_INDEXES.last }),
    fc.integer({ min: VLAN_TAGS.first, max: STORAGE_VLAN_TAG }),
  )
  fc.assert(
    fc.property(place, place, (a, b) => {
      assert.match(gatewayMac(...a), /^0a(?::[0-9a-f]{2}){5}$/)
      assert.equal(gatewayMac(...a) === gatewayMac(...b), a.join() === b.join())
    }),
  )
  assert.equal(gatewayMac(0x1234, 0x567, 0x89a), '0a:12:34:56:78:9a')
  assert.equal(gatewayMac(65_535, 4095, 4094), '0a:ff:ff:ff:ff:fe')
})

for (const [mac, want] of [
  ['02:00:00:00:00:01', 'fe80::ff:fe00:1'],
  ['34:56:78:9A:BC:DE', 'fe80::3656:78ff:fe9a:bcde'],
  ['0a:12:34:56:78:9a', 'fe80::812:34ff:fe56:789a'],
] as const) {
  test(`linkLocalOf ${mac} is ${want}`, () => {
    assert.equal(linkLocalOf(mac), want)
  })
}

test('linkLocalOf throws RangeError for what is no MAC', () => {
  for (const bad of ['', '02:00:00:00:00', '02-00-00-00-00-01', '02:00:00:00:00:0g']) {
    assert.throws(() => linkLocalOf(bad), /is no MAC/)
  }
})

test('ipv4Hosts leaves out the five addresses that EC2 keeps', () => {
  assert.deepEqual(ipv4Hosts(mustCidr('10.0.0.0/24')), { first: 4, last: 254 })
  assert.deepEqual(ipv4Hosts(mustCidr('10.0.0.16/28')), { first: 4, last: 14 })
  assert.throws(() => ipv4Hosts(mustCidr('10.0.0.0/29')), RangeError)
  assert.throws(() => ipv4Hosts(mustCidr('fd00::/64')), RangeError)
})

test('ipv4Of is inside the subnet, and neither its gateway nor reserved', () => {
  fc.assert(
    fc.property(within(PRIVATE, 28), fc.nat(2 ** 24), (subnet, some) => {
      const { first, last } = ipv4Hosts(subnet)
      const n = first + (some % (last - first + 1))
      const address = mustAddress(ipv4Of(subnet, n))
      assert.ok(contains(subnet, address))
      assert.equal(address.value - subnet.base, BigInt(n))
      assert.notEqual(ipv4Of(subnet, n), gatewayIpv4(subnet))
      for (const reserved of [0, 1, 2, 3, last + 1]) {
        assert.throws(() => ipv4Of(subnet, reserved), RangeError)
      }
    }),
  )
})

test('ipv6Of and the gateways are where the number plan says', () => {
  const subnet = mustCidr('fd00:0:100:1ff::/64')
  assert.equal(ipv6Of(subnet, 4), 'fd00:0:100:1ff::4')
  assert.equal(gatewayIpv6(subnet), 'fd00:0:100:1ff::1')
  assert.equal(gatewayIpv4(mustCidr('10.0.16.0/24')), '10.0.16.1')
  for (const bad of [0, 1, 3, -1]) assert.throws(() => ipv6Of(subnet, bad), RangeError)
  assert.throws(() => ipv6Of(mustCidr('fd00::/56'), 4), /is no IPv6 \/64/)
  assert.throws(() => gatewayIpv6(mustCidr('10.0.0.0/24')), /is no IPv6 \/64/)
})

for (const [parse, first, last] of [
  [parseVlanTag, 2, 4094],
  [parseVni, 4096, 16_777_215],
  [parseRackIndex, 1, 65_535],
  [parseHostIndex, 1, 4095],
] as const) {
  test(`${parse.name} takes whole numbers from ${first} to ${last}`, () => {
    for (const n of [first, last]) assert.deepEqual(parse(n), { ok: true, value: n })
    for (const n of [first - 1, last + 1, first + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.ok(!parse(n).ok)
    }
  })
}

test('isVlanTag refuses the reserved tags 0 and 4095 and the default 1', () => {
  assert.deepEqual([0, 1, 2, 4094, 4095].map(isVlanTag), [false, false, true, true, false])
})
