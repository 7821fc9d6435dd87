// Runs Jetson's tegrastats during a measurement: minimum, mean and maximum of each rail's power, of the GPU's load and
// clock, and of each temperature.
import { spawn } from 'node:child_process'

/**
 * The numbers of one line, by name: rails in mW, temperatures in °C, the GPU's load in percent and its clock in MHz.
 */
export function readLine(line) {
  const numbers = {}
  for (const [, name, milliwatts] of line.matchAll(/(\w+) (\d+)(?:mW)?\/\d+(?:mW)?(?= |$)/g))
    if (!/^(RAM|SWAP|IRAM)$/.test(name)) numbers[`${name}_mW`] = Number(milliwatts)
  for (const [, name, degrees] of line.matchAll(/(\w+)@(-?[\d.]+)C\b/g))
    numbers[`${name.toLowerCase()}_C`] = Number(degrees)
  const [, load, clock] = /GR3D_FREQ (\d+)%(?:@\[?(\d+))?/.exec(line) ?? []
  if (load !== undefined) numbers.gpu_percent = Number(load)
  if (clock !== undefined) numbers.gpu_MHz = Number(clock)
  return numbers
}

/** Minimum, mean and maximum of each number over all lines. */
export function summarize(lines) {
  const values = {}
  for (const line of lines)
    for (const [name, value] of Object.entries(readLine(line))) (values[name] ??= []).push(value)
  return Object.fromEntries(
    Object.entries(values).map(([name, list]) => [
      name,
      {
        min: Math.min(...list),
        mean: Math.round((list.reduce((a, b) => a + b, 0) / list.length) * 10) / 10,
        max: Math.max(...list),
      },
    ]),
  )
}

/** Starts tegrastats. stop() resolves with { lines, first, numbers }, or with { missing } if the program is missing. */
export function startTegrastats(program = 'tegrastats') {
  const child = spawn(program, ['--interval', '200'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let [output, missing] = ['', null]
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const ended = new Promise((resolve) => {
    child.on('error', (error) => {
      missing = error.message
      resolve()
    })
    child.on('close', resolve)
  })
  return {
    async stop() {
      child.kill('SIGTERM')
      await ended
      if (missing !== null) return { missing }
      const lines = output.split('\n').filter((line) => line.trim() !== '')
      return { lines: lines.length, first: lines[0] ?? null, numbers: summarize(lines) }
    },
  }
}
