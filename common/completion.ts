// Completion in shells: the programs that bash, zsh and fish load, and the command that prints
// them. A shell calls the command itself with the words so far (common/cli.ts answers).

import { buildCommand, buildRouteMap } from '@stricli/core'

/** In the environment of a call that only asks how its last word may go on. */
export const COMPLETING = 'MALLEE_COMPLETE'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** Where each shell looks by itself (bash-completion, zsh's and fish's manuals). */
const PLACES: Readonly<Record<Shell, (name: string) => string>> = {
  bash: (name) => `/usr/share/bash-completion/completions/${name}`,
  zsh: (name) => `/usr/local/share/zsh/site-functions/_${name}`,
  fish: (name) => `/usr/share/fish/vendor_completions.d/${name}.fish`,
}

/** `NAME completion SHELL`. */
export function completionRoutes(name: string) {
  const route = (shell: Shell) =>
    buildCommand<object>({
      docs: {
        brief: `Print what ${shell} loads to complete ${name}`,
        fullDescription: [
          `Print what ${shell} loads to complete ${name}: commands, flags, and names in the cloud`,
          'where a gateway answers on this machine.',
          '',
          'Examples:',
          `  ${name} completion ${shell} > ${PLACES[shell](name)}`,
          ...(shell === 'bash' ? [`  source <(${name} completion bash)`] : []),
        ].join('\n'),
      },
      parameters: { flags: {} },
      func: () => void process.stdout.write(programOf(shell, name)),
    })
  return buildRouteMap({
    routes: { bash: route('bash'), zsh: route('zsh'), fish: route('fish') },
    docs: { brief: 'Completion in bash, zsh and fish' },
  })
}

function programOf(shell: Shell, name: string): string {
  const f = `_${name.replaceAll('-', '_')}`
  switch (shell) {
    case 'bash':
      // Files, when the command proposes nothing.
      return `${f}() {
  mapfile -t COMPREPLY < <(${COMPLETING}=1 "\${COMP_WORDS[0]}" "\${COMP_WORDS[@]:1:COMP_CWORD}" \\
    2>/dev/null </dev/null | cut -f1)
}
complete -o bashdefault -o default -F ${f} ${name}
`
    case 'zsh':
      return `#compdef ${name}
${f}() {
  local -a proposals
  local line
  while IFS= read -r line; do
    line=\${line//:/\\\\:}
    proposals+=("\${line/$'\\t'/:}")
  done < <(${COMPLETING}=1 "\${words[1]}" "\${(@)words[2,CURRENT]}" 2>/dev/null </dev/null)
  if (( \${#proposals} )); then
    _describe ${name} proposals
  else
    _files
  fi
}
if [ "\${funcstack[1]}" = "${f}" ]; then ${f} "$@"; else compdef ${f} ${name}; fi
`
    case 'fish':
      return `function _${f}
  set -l words (commandline -opc) (commandline -ct)
  set -l proposals (${COMPLETING}=1 $words[1] $words[2..] 2>/dev/null </dev/null)
  if test (count $proposals) -gt 0
    string join \\n -- $proposals
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c ${name} -f -a '(_${f})'
`
  }
}
