// Random changes of what instances act as: profiles, roles and their credentials.

import fc from 'fast-check'
import { each, record } from './change.ts'
import type { Write } from './records.ts'

const TRUST = {
  ec2: '{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}}',
  nobody: '{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"1"}}}',
}

/** Who an instance acts as. */
export const someRole: fc.Arbitrary<Write> = fc.oneof(
  each(['i-1', 'i-2'], (id) =>
    record(
      `profile-association/${id}`,
      fc.constantFrom('AIPA1', 'AIPA2').map((profile) => ({
        ...{ id: `iip-assoc-${id}`, account: '1', instance: id, profile, atMs: 1 },
      })),
    ),
  ),
  each(['i-1', 'i-2'], (id) =>
    record(
      `instance-credentials/${id}`,
      fc.constantFrom('AROA1', 'AROA2').map((role) => ({
        ...{ instance: id, role, accessKeyId: `ASIA${role}`, sealed: 'x', issuedAtMs: 1 },
        expiresAtMs: 2,
      })),
    ),
  ),
  each(['1', '2'], (n) =>
    record(
      `iam-profile/1/p${n}`,
      fc.constantFrom('', 'AROA1', 'AROA2').map((role) => ({
        ...{ id: `AIPA${n}`, account: '1', name: `p${n}`, path: '/', createdAtMs: 0, role },
        tags: {},
      })),
    ),
  ),
  each(['1', '2'], (n) =>
    record(
      `iam-role/1/r${n}`,
      fc.constantFrom(TRUST.ec2, TRUST.nobody).map((trust) => ({
        ...{ id: `AROA${n}`, account: '1', name: `r${n}`, path: '/', createdAtMs: 0, trust },
        ...{ attached: [], inline: {}, trusted: {}, description: '', maxSessionSeconds: 3600 },
        ...{ boundary: '', tags: {} },
      })),
    ),
  ),
)
