// IPsec tunnels to customers' own devices with what this machine has for them.

import { describe } from 'node:test'
import { whyNoHosts } from '../../support/netns.ts'
import { testIpsec } from './ipsec-tunnels.ts'

describe('a CC and two devices with strongSwan', { skip: whyNoHosts() ?? false }, testIpsec)
