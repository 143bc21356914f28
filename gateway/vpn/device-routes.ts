// How a device's two tunnels share the way to the VPC: each is an interface with routes of its own,
// and metrics choose.

import { answered, type Configuration, isIpv6 } from './configuration.ts'

/** `vpn` and the first hex digits of the connection's id: Linux takes 15 characters. */
export function deviceName(connection: string, index: number): string {
  return `vpn${connection.replace(/^vpn-/, '').slice(0, 8)}-${index}`
}

/**
 * Commands for the routes by a tunnel, to the VPC's blocks of those families that the connection
 * has routes of; `name` is the interface.
 */
export function routeCommands(
  { vpcCidrs, routes }: Configuration,
  verb: 'replace' | 'del',
  { name, index }: { readonly name: string; readonly index: number },
): string[] {
  const reached = routes.length === 0 ? vpcCidrs : answered(vpcCidrs, routes)
  return reached.map((cidr) => {
    const family = isIpv6(cidr) ? '-6' : '-4'
    return `ip ${family} route ${verb} ${cidr} dev ${name} metric ${index}00`
  })
}

/** Lines for a comment: a loop that takes the first tunnel's routes away while it is down. */
export function failover(configuration: Configuration, isUp: string): string[] {
  const first = { name: deviceName(configuration.connection, 1), index: 1 }
  return [
    'Both tunnels lead to the same networks: routes by the first have metric 100, those by the',
    'second 200. The cloud answers by the first that is up. So that the device leaves one that',
    'is down, let this run there:',
    '',
    '  while sleep 5; do',
    `    if ${isUp}; then`,
    ...routeCommands(configuration, 'replace', first).map((line) => `      ${line}`),
    '    else',
    ...routeCommands(configuration, 'del', first).map((line) => `      ${line} 2> /dev/null`),
    '    fi',
    '  done',
  ]
}

export function comment(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '#' : `# ${line}`))
}
