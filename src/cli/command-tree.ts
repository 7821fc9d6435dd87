/** The commands and flags of the program as plain data, read from commander: for completion scripts and man pages. */
import type { Command, Option } from 'commander'

/** What follows a flag: nothing, one of some words, a file or folder, or any text. */
type FlagValue = 'none' | 'files' | 'text' | readonly string[]

export interface FlagNode {
  /** All forms, such as `-o` and `--out`. */
  readonly names: readonly string[]
  /** As in the help: `-o, --out <file>`. */
  readonly usage: string
  readonly description: string
  readonly value: FlagValue
}

export interface CommandNode {
  /** The words after `gapcam`: '' for the program itself, `model info` for a command of a command. */
  readonly path: string
  readonly description: string
  /** `gapcam model info [options] <file>`. */
  readonly usage: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  /** `choices` is empty where an argument is a file or any text. */
  readonly arguments: readonly {
    readonly name: string
    readonly description: string
    readonly choices: readonly string[]
  }[]
  readonly flags: readonly FlagNode[]
  /** Whether an argument may be a file. */
  readonly takesFiles: boolean
}

/** The program and all commands below it, each before the commands that it contains. */
export function commandTree(program: Command, path = ''): readonly CommandNode[] {
  const help = program.createHelp()
  const below = help.visibleCommands(program).filter((command) => command.name() !== 'help')
  return [
    {
      path,
      description: program.description(),
      usage: help.commandUsage(program),
      commands: below.map((command) => ({ name: command.name(), description: command.description() })),
      arguments: program.registeredArguments.map((argument) => ({
        name: argument.name(),
        description: help.argumentDescription(argument),
        choices: argument.argChoices ?? [],
      })),
      flags: help.visibleOptions(program).map((option) => flagOf(option, help.optionDescription(option))),
      takesFiles: program.registeredArguments.some(({ argChoices }) => argChoices === undefined),
    },
    ...below.flatMap((command) => commandTree(command, path === '' ? command.name() : `${path} ${command.name()}`)),
  ]
}

function flagOf(option: Option, description: string): FlagNode {
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    usage: option.flags,
    description,
    value: wordsAfter(option),
  }
}

function wordsAfter({ required, optional, argChoices, flags }: Option): FlagValue {
  if (!required && !optional) return 'none'
  if (argChoices !== undefined) return argChoices
  const placeholder = /[<[](.*)[>\]]/.exec(flags)?.[1] ?? ''
  // Choices that the flag itself names, such as --engine <auto|native>; but not the forms of a value, <side|HxW>.
  if (/^[a-z0-9]+(\|[a-z0-9]+)+$/.test(placeholder) && !/\b(n|url|side)\b/.test(placeholder))
    return placeholder.split('|')
  return /file|folder|path|dir|model/i.test(placeholder) ? 'files' : 'text'
}
