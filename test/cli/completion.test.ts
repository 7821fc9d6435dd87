/** `gapcam completion` in the shells themselves. zsh runs the function with the words that its line editor would pass. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { endAll, gapcam, launch } from '../process.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-completion-'))
const scripts = new Map<string, string>()

beforeAll(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const program = gapcam(['completion', shell])
    expect(await program.ended, program.stderr()).toBe(0)
    scripts.set(shell, join(folder, shell))
    writeFileSync(join(folder, shell), program.stdout())
  }
})
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(shell: string, args: readonly string[]): Promise<string[]> {
  const program = launch(`/usr/bin/${shell}`, args, { cwd: folder })
  expect(await program.ended, program.stderr()).toBe(0)
  expect(program.stderr()).toBe('')
  return program.stdout().split('\n').filter(Boolean).sort()
}

/** The words that each shell offers for the last of `words`. */
const complete: Readonly<Record<string, (words: readonly string[]) => Promise<string[]>>> = {
  bash: (words) =>
    run('bash', [
      '-c',
      `source "$0"; compopt() { echo "(${'$'}2 files)"; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gapcam; printf '%s\\n' "\${COMPREPLY[@]}"`,
      scripts.get('bash')!,
      ...words,
    ]),
  zsh: (words) =>
    run('zsh', [
      '-f',
      '-c',
      `compdef() { :; }; _files() { echo '(default files)'; }
       compadd() { shift; print -l -- \${(M)@:#$words[CURRENT]*}; }
       _describe() { local -a all=("\${(@P)2}"); all=(\${all%%:*}); print -l -- \${(M)all:#$words[CURRENT]*}; }
       source "$0"; words=("$@"); CURRENT=$#; _gapcam`,
      scripts.get('zsh')!,
      ...words,
    ]),
  fish: async (words) =>
    (
      await run('fish', [
        '--no-config',
        '-c',
        'source $argv[1]; complete -C $argv[2]',
        scripts.get('fish')!,
        words.join(' '),
      ])
    ).map((line) => line.split('\t')[0]!),
}

describe.each(Object.keys(complete))('completion in %s', (shell) => {
  const isThere = existsSync(`/usr/bin/${shell}`)
  const offers = (...words: string[]): Promise<string[]> => complete[shell]!(words)

  it.runIf(isThere)('offers commands, and commands of a command (needs the shell)', async () => {
    expect(await offers('gapcam', 'cl')).toContain('classify')
    expect(await offers('gapcam', 'service', 'unin')).toEqual(['uninstall'])
  })

  it.runIf(isThere)('offers the flags of the command only (needs the shell)', async () => {
    expect(await offers('gapcam', 'run', '--thr')).toEqual(['--threads', '--threshold'])
    expect(await offers('gapcam', 'service', 'status', '--thr')).not.toContain('--threads')
  })

  it.runIf(isThere)('offers the choices of a flag and of an argument (needs the shell)', async () => {
    expect(await offers('gapcam', 'classify', '--engine', 'na')).toEqual(['native'])
    expect(await offers('gapcam', 'completion', 'z')).toEqual(['zsh'])
  })

  it.runIf(isThere)('leaves files to the shell after a flag with a file (needs the shell)', async () => {
    writeFileSync(join(folder, 'gate.yaml'), '')
    expect((await offers('gapcam', 'run', '--config', 'gate')).join()).toMatch(/default files|gate\.yaml/)
  })
})

it('refuses another shell with status 2 and names those that it knows', async () => {
  const program = gapcam(['completion', 'tcsh'])
  expect(await program.ended).toBe(2)
  expect(program.stderr()).toMatch(/bash, zsh, fish/)
})
