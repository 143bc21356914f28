// setup/install.sh, on stand-ins for apt and dpkg that keep state as those do, in a mount namespace
// of its own: the real ones would change the machine.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { exec } from '../../common/exec.ts'

const ROOT = join(import.meta.dirname, '../..')
const INSTALL = join(ROOT, 'setup/install.sh')
const PACKAGES = readFileSync(join(ROOT, 'setup/packages.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' ')[0] ?? '')

// One installed package a line in $STATE/installed: name and version. Every call goes to
// $STATE/log.
const DPKG_QUERY = `#!/bin/bash
while read -r name version; do
  for wanted; do [[ $wanted == "$name" ]] && echo "installed $name $version"; done
done <"$STATE/installed"
exit 1`
const APT_GET = `#!/bin/bash
echo "apt-get $*" >>"$STATE/log"
[[ -e /usr/sbin/policy-rc.d ]] && echo "policy $(/usr/sbin/policy-rc.d; echo $?)" >>"$STATE/log"
[[ " $* " == *' update '* && -e $STATE/no-lists ]] && { echo 'E: no lists'; exit 100; }
if [[ " $* " == *' indextargets '* ]]; then
  echo 'http://mirror.example/debian/ bookworm main'
  exit 0
fi
[[ " $* " == *' install '* ]] || exit 0
[[ -e $STATE/no-install ]] && { echo 'E: Unable to locate package'; exit 100; }
[[ " $* " == *bookworm-backports* && -e $STATE/no-backports ]] && exit 100
version=1; [[ " $* " == *bookworm-backports* ]] && version=0.0.20231211-1~bpo12+1
echo 'pmstatus:x:50.0:Installing' >&3
for name in "\${@#*install}"; do
  [[ $name == [a-z]* ]] && echo "$name $version" >>"$STATE/installed"
done`
const APT_CACHE = '#!/bin/bash\necho "apt-cache $*" >>"$STATE/log"'
const SYSTEMCTL = '#!/bin/bash\necho "systemctl $*" >>"$STATE/log"'

describe('setup/install.sh', () => {
  const dir = mkdtempSync(join(tmpdir(), 'install-'))
  const bin = join(dir, 'bin')
  const at = (file: string): string => join(dir, file)
  mkdirSync(bin)
  for (const [name, text] of [
    ['dpkg-query', DPKG_QUERY],
    ['apt-get', APT_GET],
    ['apt-cache', APT_CACHE],
    ['systemctl', SYSTEMCTL],
  ] as const) {
    writeFileSync(join(bin, name), text, { mode: 0o755 })
  }
  after(() => rmSync(dir, { recursive: true, force: true }))
  beforeEach(() => {
    for (const file of ['no-lists', 'no-install', 'no-backports']) rmSync(at(file), { force: true })
    writeFileSync(at('log'), '')
    writeFileSync(at('installed'), '')
  })

  async function install(version: string, code = 0): Promise<{ stderr: string; log: string[] }> {
    writeFileSync(at('os-release'), `ID=debian\nVERSION_ID="${version}"\n`)
    for (const name of ['apt', 'layers']) {
      rmSync(at(name), { recursive: true, force: true })
      mkdirSync(at(name))
    }
    // Over the machine's folders, for this run only; as on a machine that has no policy-rc.d.
    const layers = `lowerdir=/usr/sbin,upperdir=${at('layers/upper')},workdir=${at('layers/work')}`
    const script = `set -e
      mount -t tmpfs none /run/lock
      mount --bind ${at('apt')} /etc/apt/sources.list.d
      mount -t tmpfs none ${at('layers')}
      mkdir ${at('layers/upper')} ${at('layers/work')}
      mount -t overlay -o ${layers} overlay /usr/sbin
      rm -f /usr/sbin/policy-rc.d
      export PATH=${bin}:$PATH
      result=0; bash ${INSTALL} || result=$?
      [ ! -e /usr/sbin/policy-rc.d ] || echo left >>$STATE/log
      exit $result`
    const env = { STATE: dir, MALLEE_OS_RELEASE: at('os-release') }
    const argv = ['unshare', '--mount', 'sh', '-c', script]
    const { stderr } = await exec(argv, { env, okCodes: [code] })
    return { stderr, log: readFileSync(at('log'), 'utf8').trim().split('\n').filter(Boolean) }
  }
  const allInstalled = (wireguardGo: string): void =>
    writeFileSync(
      at('installed'),
      PACKAGES.map((name) => `${name} ${name === 'wireguard-go' ? wireguardGo : '1'}\n`).join(''),
    )
  const installs = (log: readonly string[]): string[] =>
    log.filter((line) => / install /.test(line))

  test('asks apt nothing when nothing is missing', async () => {
    allInstalled('0.0.20231211-1~bpo12+1')
    assert.deepEqual(await install('12'), { stderr: '', log: [] })
  })

  test('installs what is missing and nothing else, without recommended packages', async () => {
    allInstalled('0.0.20231211-1~bpo12+1')
    const kept = readFileSync(at('installed'), 'utf8').replace(/^(iperf3|vtun) .*\n/gm, '')
    writeFileSync(at('installed'), kept)
    const { log, stderr } = await install('12')
    const [line = '', ...more] = installs(log)
    assert.deepEqual(more, [])
    assert.match(line, /--no-install-recommends .* install (iperf3 vtun|vtun iperf3)$/)
    assert.match(stderr, /installing 2 Debian packages/)
    assert.match(stderr, /installing, 50 %/)
  })

  test('leaves vtun out on Debian 13, which has none', async () => {
    const { log } = await install('13')
    assert.doesNotMatch(installs(log).join('\n'), /vtun/)
    assert.match(installs(log).join('\n'), / wireguard-go/)
  })

  test('takes wireguard-go of Debian 12, and only it, from bookworm-backports', async () => {
    const { log } = await install('12')
    const [plain = '', backports = '', ...more] = installs(log)
    assert.deepEqual(more, [])
    assert.doesNotMatch(plain, /wireguard-go|backports/)
    assert.match(backports, /install --target-release bookworm-backports wireguard-go$/)
    const source = readFileSync(join(at('apt'), 'mallee-backports.sources'), 'utf8')
    assert.match(source, /^URIs: http:\/\/mirror\.example\/debian\/$/m)
    assert.match(source, /^Signed-By: \/usr\/share\/keyrings\/debian-archive-keyring\.gpg$/m)
    assert.equal((await install('12')).stderr, '')
  })

  test("replaces Debian 12's slow wireguard-go", async () => {
    allInstalled('0.0.20220316-1+b4')
    const { log } = await install('12')
    assert.match(installs(log).join('\n'), /^[^\n]*bookworm-backports wireguard-go$/)
  })

  test('falls back to the slow wireguard-go when there are no backports', async () => {
    writeFileSync(at('no-backports'), '')
    const { stderr, log } = await install('12')
    assert.match(stderr, /taking the slower one of Debian 12/)
    assert.match(installs(log).at(-1) ?? '', /install wireguard-go$/)
  })

  test('starts no service while it installs, and leaves none enabled that it brought', async () => {
    allInstalled('0.0.20231211-1~bpo12+1')
    const kept = readFileSync(at('installed'), 'utf8').replace(/^redis-server .*\n/m, '')
    writeFileSync(at('installed'), kept)
    const { log } = await install('12')
    assert.ok(log.includes('policy 101'), log.join('\n'))
    assert.ok(!log.includes('left'), 'policy-rc.d is still there')
    assert.deepEqual(
      log.filter((line) => line.startsWith('systemctl')),
      ['systemctl --quiet disable redis-server.service'],
    )
  })

  test('fails with what apt said and what to do', async () => {
    writeFileSync(at('no-install'), '')
    const { stderr } = await install('12', 1)
    assert.match(stderr, /E: Unable to locate package\nmallee: apt-get install failed/)
    assert.match(stderr, /Mend what they say/)
  })
})
