// Finds the hot loops of an arm64 library in its disassembly: loops whose only branch is the one that closes them, so
// every instruction runs in each round. The more FMLA a loop has, the hotter it is.
import { spawnSync } from 'node:child_process'

/** Loops with fewer FMLA are not kernels. */
const leastFmla = 8
const line = /^ *([0-9a-f]+):\t([^\t]+)(?:\t(.*))?$/
const heading = /^([0-9a-f]+) <(.*)>:$/

/** The functions of a library as { name, code: [{ address, mnemonic, operands }] }. */
function functionsOf(library) {
  const { stdout, error, status } = spawnSync(
    'aarch64-linux-gnu-objdump',
    ['-d', '-C', '--no-show-raw-insn', library],
    { encoding: 'utf8', maxBuffer: 2 ** 30 },
  )
  if (error?.code === 'ENOENT')
    throw new Error('aarch64-linux-gnu-objdump is missing: apt-get install binutils-aarch64-linux-gnu')
  if (status !== 0) throw new Error(`${library} cannot be disassembled`)
  const functions = []
  for (const text of stdout.split('\n')) {
    const head = heading.exec(text)
    if (head) functions.push({ name: head[2], code: [] })
    const instruction = head ? null : line.exec(text)
    if (instruction)
      functions.at(-1)?.code.push({
        address: parseInt(instruction[1], 16),
        mnemonic: instruction[2],
        operands: (instruction[3] ?? '').replace(/ *\/\/.*/, ''),
      })
  }
  return functions
}

/** The target address of a branch; null for other instructions. */
function target({ mnemonic, operands }) {
  if (!/^(b|b\..*|cbn?z|tbn?z)$/.test(mnemonic)) return null
  const found = /([0-9a-f]+) <[^>]*>$/.exec(operands) ?? /([0-9a-f]+) <.*>$/.exec(operands)
  return found ? parseInt(found[1], 16) : null
}

/** Loops without another branch or call inside. */
function plainLoops(code) {
  const at = new Map(code.map(({ address }, i) => [address, i]))
  const loops = []
  for (const [last, instruction] of code.entries()) {
    const first = at.get(target(instruction))
    if (first === undefined || first > last) continue
    const body = code.slice(first, last)
    if (!body.some((inside) => target(inside) !== null || /^(bl|blr|br|ret)$/.test(inside.mnemonic)))
      loops.push([...body, instruction])
  }
  return loops
}

const isFmla = ({ mnemonic, operands }) => mnemonic === 'fmla' && /^v\d+\.4s/.test(operands)

/** Shortens a signature to a name such as `Tile<7, 3, false, 0>`. */
const short = (name) =>
  name
    .replace(/\(anonymous namespace\)::/g, '')
    .replace(/^(?:\w+ )*?gapcam::/, '')
    .replace(/^void /, '')
    .replace(/^gapcam::/, '')
    .replace(/\(.*$/, '')

/**
 * For each function the loop with the most FMLA, as { kernel, instructions: [{ mnemonic, operands }], fmla }.
 * The functions of the scalar target have the same names as those of NEON. Of two functions with one name, the one with
 * fewer instructions per FMLA is kept, which is NEON's. The list is sorted by name.
 */
export function hotLoops(library) {
  const found = new Map()
  for (const { name, code } of functionsOf(library)) {
    const loops = plainLoops(code).map((instructions) => ({
      kernel: short(name),
      instructions,
      fmla: instructions.filter(isFmla).length,
    }))
    const hottest = loops.filter(({ fmla }) => fmla >= leastFmla).toSorted((a, b) => b.fmla - a.fmla)[0]
    const other = found.get(hottest?.kernel)
    if (hottest && !(other && density(other) >= density(hottest))) found.set(hottest.kernel, hottest)
  }
  return [...found.values()].toSorted((a, b) => a.kernel.localeCompare(b.kernel, 'en', { numeric: true }))
}

const density = ({ instructions, fmla }) => fmla / instructions.length

/** The compiler that made the library, from the library's comment section. */
export function compilerOf(library) {
  const { stdout } = spawnSync('aarch64-linux-gnu-readelf', ['-p', '.comment', library], { encoding: 'utf8' })
  const names = [...stdout.matchAll(/\] +(.+)$/gm)].map(([, name]) => name.replace(/ \(http.*$/, ''))
  return names.find((name) => /clang/.test(name)) ?? names[0] ?? 'unknown'
}
