// Requests that never give anything away: what a server that fetches for others can be led to send.

import {
  DNS_IPV4,
  METADATA_IPV4,
  METADATA_IPV6,
  METADATA_PORT,
} from '../../../../cluster-agent/cc/names.ts'

export const TTL = ['-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60']

/** What servers are led to send by those who may choose a part of it (SSRF), as curl's words. */
export const FORGED: readonly (readonly string[])[] = [
  ...[
    METADATA_IPV4,
    '2852039166',
    '0xA9FEA9FE',
    '0251.0376.0251.0376',
    '169.16689662',
    `[::ffff:${METADATA_IPV4}]`,
    `[${METADATA_IPV6}]`,
    `[0:0:0:0:0:ffff:a9fe:a9fe]`,
    `user:password@${METADATA_IPV4}`,
    '[fe80::1%25eth0]',
    `${DNS_IPV4}`,
  ].flatMap((host) => [
    [`http://${host}/latest/user-data`],
    ['-L', `http://${host}//latest/./user-data?x=/latest/api/token#`],
  ]),
  ...[
    ['-X', 'GET', '/latest/api/token'],
    ['-X', 'POST', '-d', '', '/latest/api/token'],
    ['-X', 'POST', '-H', 'X-HTTP-Method-Override: PUT', ...TTL, '/latest/api/token'],
    ['-X', 'PUT', '/latest/api/token'],
    ['-X', 'PUT', '-H', 'X-Forwarded-For: 10.0.1.10', ...TTL, '/latest/api/token'],
    ['-X', 'PUT', '-H', 'x-forwarded-for;', ...TTL, '/latest/api/token'],
    ['-X', 'PUT', '-d', 'a=b', ...TTL, '/latest/api/token'],
    ['-X', 'PUT', '-H', 'Transfer-Encoding: chunked', '-d', 'a', ...TTL, '/latest/api/token'],
    ['-X', 'PUT', ...TTL, '/latest/user-data'],
    ['-X', 'put', ...TTL, '/latest/api/token'],
    ['-X', 'OPTIONS', '/latest/user-data'],
    ['-X', 'TRACE', '/latest/user-data'],
    ['-H', 'X-aws-ec2-metadata-token: ', '/latest/user-data'],
    ['-H', 'X-aws-ec2-metadata-token;', '/latest/user-data'],
    ['-H', `X-aws-ec2-metadata-token: ${'A'.repeat(51)}=`, '/latest/user-data'],
    ['-H', 'Upgrade: websocket', '-H', 'Connection: Upgrade', '/latest/user-data'],
    ['-H', 'Host: localhost', '/latest/user-data'],
    ['--path-as-is', '/latest/api/../user-data'],
    ['/latest/api/token%0d%0aX-aws-ec2-metadata-token-ttl-seconds:%2060'],
    ['/latest/user-data%20HTTP/1.1%0d%0aX-aws-ec2-metadata-token:%20a%0d%0a'],
    ['--request-target', `http://${METADATA_IPV4}/latest/user-data`, '/'],
    ['--http0.9', '--request-target', '/latest/user-data\r\nX: a', '/'],
  ].map((args) => [...args.slice(0, -1), `http://${METADATA_IPV4}${args.at(-1)}`]),
  // As if the instance were itself an open proxy, or its CC.
  ['--proxy', `http://${METADATA_IPV4}:80`, '--noproxy', '', 'http://10.16.1.10/latest/user-data'],
  ['--proxytunnel', '--proxy', `http://${METADATA_IPV4}:80`, '--noproxy', '', 'http://10.0.1.1/'],
  ['http://10.0.1.1/latest/user-data'],
  [`http://10.0.1.1:${METADATA_PORT}/latest/user-data`],
  [`telnet://${METADATA_IPV4}:${METADATA_PORT}`],
]
