/** `gapcam completion bash|zsh|fish`: prints a script that completes commands and flags. It is made from the commands themselves. */
import { Argument, type Command } from 'commander'
import { commandTree, type CommandNode, type FlagNode } from './command-tree.js'

const scripts = { bash, zsh, fish } as const
type Shell = keyof typeof scripts

/** Registers the command. `loadAll` resolves with the program with all its commands. */
export function completionCommand(parent: Command, loadAll: () => Promise<Command>): void {
  parent
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
bash   source <(gapcam completion bash)
zsh    gapcam completion zsh > "\${fpath[1]}/_gapcam"
fish   gapcam completion fish > ~/.config/fish/completions/gapcam.fish`,
    )
    .action(async (shell: Shell) => {
      process.stdout.write(scripts[shell](commandTree(await loadAll())))
    })
}

const quote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`
/** All command paths below the program, such as `run` and `model info`, for the pattern of a case. */
const paths = (nodes: readonly CommandNode[]): readonly string[] =>
  nodes.map(({ path }) => path).filter((path) => path !== '')

const choices = (given: CommandNode['arguments']): readonly string[] => given.flatMap((argument) => argument.choices)

/** The cases for the word after a flag: its choices, files, or nothing that the shell could know. */
function afterFlags(flags: readonly FlagNode[], row: (names: string, action: 'files' | readonly string[]) => string) {
  return flags
    .filter(({ value }) => value !== 'none')
    .map(({ names, value }) => row(names.join('|'), value === 'text' ? [] : (value as 'files' | readonly string[])))
}

function bash(nodes: readonly CommandNode[]): string {
  const cases = nodes.map(({ path, commands, arguments: given, flags, takesFiles }) => {
    const after = afterFlags(flags, (names, action) =>
      action === 'files'
        ? `    ${names}) compopt -o default; return ;;`
        : `    ${names}) COMPREPLY=($(compgen -W ${quote(action.join(' '))} -- "$cur")); return ;;`,
    )
    const words = [...commands.map(({ name }) => name), ...choices(given), ...flags.flatMap(({ names }) => names)].join(
      ' ',
    )
    return `  ${quote(path)})
    case $prev in
${after.join('\n')}
    esac
    COMPREPLY=($(compgen -W ${quote(words)} -- "$cur"))
    ${takesFiles ? '[[ $cur != -* ]] && compopt -o default' : ':'} ;;`
  })
  return `# Completion of gapcam for bash.
_gapcam() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at= next i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    next=\${at:+$at }\${COMP_WORDS[i]}
    case $next in ${paths(nodes).map(quote).join('|')}) at=$next ;; esac
  done
  case $at in
${cases.join('\n')}
  esac
}
complete -F _gapcam gapcam
`
}

function zsh(nodes: readonly CommandNode[]): string {
  const described = (name: string, text: string): string => quote(`${name.replaceAll(':', '\\:')}:${text}`)
  const cases = nodes.map(({ path, commands, arguments: given, flags, takesFiles }) => {
    const after = afterFlags(flags, (names, action) =>
      action === 'files'
        ? `        (${names}) _files; return ;;`
        : `        (${names}) ${action.length > 0 ? `compadd -- ${action.map(quote).join(' ')}; ` : ''}return ;;`,
    )
    const rows = [
      ...commands.map(({ name, description }) => described(name, description)),
      ...choices(given).map((choice) => described(choice, '')),
      ...flags.flatMap(({ names, description }) => names.map((name) => described(name, description))),
    ]
    return `    (${quote(path)})
      case $before in
${after.join('\n')}
      esac
      rows=(${rows.join(' ')})
      ${takesFiles ? '[[ $words[CURRENT] == -* ]] || _files' : ':'} ;;`
  })
  return `#compdef gapcam
# Completion of gapcam for zsh.
_gapcam() {
  local at= next i before=$words[CURRENT-1]
  local -a rows
  for ((i = 2; i < CURRENT; i++)); do
    next="\${at:+$at }$words[i]"
    case $next in (${paths(nodes).map(quote).join('|')}) at=$next ;; esac
  done
  case $at in
${cases.join('\n')}
  esac
  _describe 'gapcam' rows
}
compdef _gapcam gapcam
`
}

function fish(nodes: readonly CommandNode[]): string {
  const lines = nodes.flatMap(({ path, commands, arguments: given, flags, takesFiles }) => {
    const line = (rest: string): string => `complete -c gapcam -n ${quote(`__gapcam_at ${quote(path)}`)} ${rest}`
    return [
      ...(takesFiles ? [line('-F')] : []),
      ...commands.map(({ name, description }) => line(`-a ${name} -d ${quote(description)}`)),
      ...choices(given).map((choice) => line(`-a ${choice}`)),
      ...flags.map(({ names, description, value }) => {
        const forms = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
        const values =
          value === 'none'
            ? ''
            : value === 'files'
              ? ' -rF'
              : value === 'text'
                ? ' -x'
                : ` -xa ${quote(value.join(' '))}`
        return line(`${forms.join(' ')}${values} -d ${quote(description)}`)
      }),
    ]
  })
  return `# Completion of gapcam for fish.
function __gapcam_at
    set -l at ''
    for word in (commandline -opc)[2..]
        set -l next (string trim -- "$at $word")
        if contains -- $next ${paths(nodes).map(quote).join(' ')}
            set at $next
        end
    end
    test "$at" = "$argv[1]"
end
complete -c gapcam -f
${lines.join('\n')}
`
}
