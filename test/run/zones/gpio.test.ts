/** A GPIO line through gpiomon: its edges, both versions of its arguments, its end and its absence. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { watchGpio } from '../../../src/run/zones/gpio.js'
import { until } from '../../publish/mosquitto.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-gpio-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

let programs = 0
/** A program that answers `--version` and then does this; it writes its arguments down. */
function gpiomon(version: string, body: string): { readonly program: string; readonly given: () => string } {
  const program = join(folder, `gpiomon-${++programs}`)
  writeFileSync(
    program,
    `#!/bin/sh\nif [ "$1" = --version ]; then echo 'gpiomon (libgpiod) ${version}'; exit; fi\necho "$@" > ${program}.args\n${body}\n`,
  )
  chmodSync(program, 0o755)
  return { program, given: () => readFileSync(`${program}.args`, 'utf8').trim() }
}

function watch(program: string): { readonly edges: () => number; readonly faults: string[] } {
  let edges = 0
  const faults: string[] = []
  stops.push(
    watchGpio({ chip: 'gpiochip0', line: 17, program, onEdge: () => edges++, onFault: (text) => faults.push(text) }),
  )
  return { edges: () => edges, faults }
}

it.each([
  ['v2.1.3', '--chip gpiochip0 --edges rising --format edge 17'],
  ['v1.6.3', '--rising-edge --line-buffered --format=edge gpiochip0 17'],
])('each edge counts, with the arguments of libgpiod %s', async (version, given) => {
  const fake = gpiomon(version, 'echo edge; echo edge; exec sleep 60')
  const { edges, faults } = watch(fake.program)
  await until(() => edges() === 2, 'two edges')
  expect(fake.given()).toBe(given)
  expect(faults).toEqual([])
})

it('a program that ends is started again, and its complaint is told once', async () => {
  const fake = gpiomon('v2.0', `echo x >> ${folder}/starts; echo 'cannot find line 17' >&2; exit 1`)
  const { faults } = watch(fake.program)
  const starts = join(folder, 'starts')
  await until(() => existsSync(starts) && readFileSync(starts, 'utf8').length >= 4, 'a second start')
  expect(faults).toEqual(['the line gpiochip0/17 is not watched: cannot find line 17'])
})

it('a program that is not installed is named, with its package', async () => {
  const { faults } = watch(join(folder, 'missing'))
  await until(() => faults.length > 0, 'the fault')
  expect(faults[0]).toMatch(/missing is not installed; it is in the package gpiod/)
})
