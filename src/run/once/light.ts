/**
 * Switches a lamp on for a picture: a GPIO line that is held high by `gpioset` of libgpiod, versions 1 and 2, and set low
 * afterwards, also when gapcam is killed meanwhile.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { GapcamError } from '../../errors.js'

/** A lamp that is on. */
export interface Light {
  /** Resolves when the lamp is off. */
  off(): Promise<void>
}

/**
 * The shell holds the line until its input ends, which happens with the end of gapcam too. Signals of the terminal do not
 * reach it. Arguments: the program, chip and line. It prints `on` when the line is held, and ends with status 1 where it
 * cannot be.
 */
const script = `
trap : HUP INT PIPE TERM
if "$1" --version 2>/dev/null | grep -q ' v2'; then
  "$1" --chip "$2" "$3=1" & held=$!
  low() { "$1" --toggle 0 --chip "$2" "$3=0"; }
else
  "$1" --mode=signal "$2" "$3=1" & held=$!
  low() { "$1" --mode=exit "$2" "$3=0"; }
fi
sleep 0.1
kill -0 $held 2>/dev/null || exit 1
echo on
read -r _
kill $held; wait $held 2>/dev/null
low "$1" "$2" "$3"
`

/**
 * Switches the lamp on. Rejects with USAGE where the line cannot be set.
 *
 *     const light = await switchOn({ chip: 'gpiochip0', line: 17 })
 */
export function switchOn(
  { chip, line }: { readonly chip: string; readonly line: number },
  program = 'gpioset',
): Promise<Light> {
  const child = spawn('/bin/sh', ['-c', script, 'light', program, chip, String(line)], { detached: true })
  let complaint = ''
  child.stderr.on('data', (data: Buffer) => {
    complaint = (complaint + data.toString()).slice(-300)
  })
  // An end of gapcam without `off` closes the input too; the write then has no reader.
  child.stdin.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const fault = (why: string): GapcamError =>
    new GapcamError('USAGE', `the lamp at ${chip}/${line} cannot be switched: ${why.trim()}`, {
      hint: 'Install the package gpiod, and check chip and line with gpioinfo.',
    })
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(fault(error.message)))
    createInterface({ input: child.stdout }).once('line', () =>
      resolve({
        off() {
          child.stdin.end()
          return ended
        },
      }),
    )
    void ended.then(() => reject(fault(complaint || `${program} ended`)))
  })
}
