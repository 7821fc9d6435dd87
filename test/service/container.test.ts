/**
 * The health check of the Dockerfile, with the program stopped and going on, and its user. test/packaging builds and runs the
 * image.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { cleanEnvironment, cli, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

/** The instructions in order, with continued lines joined and without comments. */
const instructions = readFileSync(join(projectRoot, 'Dockerfile'), 'utf8')
  .replace(/^\s*#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ name: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1).trim() }))
const of = (name: string): string[] =>
  instructions.filter((instruction) => instruction.name === name).map(({ rest }) => rest)

describe('the Dockerfile', () => {
  it('runs as its own user, and its commands are lists', () => {
    expect(of('USER').at(-1)).toBe('10001:10001')
    for (const name of ['ENTRYPOINT', 'CMD']) expect(JSON.parse(of(name)[0]!)).toBeInstanceOf(Array)
  })
})

const canUnshare = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0

it.runIf(canUnshare)(
  'the health check follows the progress on a read-only root file system (needs root, for namespaces)',
  async () => {
    const check = JSON.parse(/CMD (\[.*\])$/.exec(of('HEALTHCHECK')[0]!)![1]!) as string[]
    const quoted = check.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
    // A mount namespace in which only two tmpfs are writable, as with `docker run --read-only --tmpfs`.
    const script = `
    set -e
    mount --make-rprivate / && mount -t tmpfs -o mode=1777 none /run && mount -t tmpfs -o mode=1777 none /var/lib
    mkdir /run/gapcam /var/lib/gapcam && chown 65534:65534 /run/gapcam /var/lib/gapcam
    for place in / /tmp /dev/shm; do mount --bind $place $place && mount -o remount,bind,ro $place; done
    exec 3<&0
    touch /etc/gapcam-test 2>/dev/null && echo writable
    setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --inh-caps=-all '${process.execPath}' '${cli}' run test:// --broker none --json --threads 1 --set page.enabled=false &
    pid=$!
    check() { ${quoted} && echo healthy || echo unhealthy; }
    check
    while read -r line; do
      case $line in check) check;; stop) kill -STOP $pid;; age) touch -d '30 seconds ago' /run/gapcam/progress; check;; go) kill -CONT $pid;; end) kill -TERM $pid; wait $pid || exit $?;; esac
    done`
    const environment = Object.fromEntries(
      of('ENV')[0]!
        .split(' ')
        .map((assignment) => assignment.split('=')),
    )
    const run = launch('unshare', ['-m', 'bash', '-c', script], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...environment, HOME: '/var/lib/gapcam' },
    })
    await run.until(/^unhealthy\n/m) // before it has got anywhere
    await run.until(/"label"/)
    run.type('check\n')
    await run.until(/^healthy\n/m)
    expect(run.stdout()).not.toContain('writable')
    // Stops the program, and sets the time of the file back by half a minute instead of waiting.
    run.type('stop\nage\n')
    await run.until(/unhealthy\n[^]*unhealthy\n/)
    run.type('go\n')
    await run.until(/"label"[^]*"label"/)
    run.type('check\nend\n')
    await run.until(/healthy\n[^]*healthy\n[^]*healthy\n[^]*healthy\n/)
    expect(await run.ended, run.stderr()).toBe(143)
    expect(run.stderr()).not.toMatch(/EROFS|EACCES|read-only/i)
  },
  120_000,
)
