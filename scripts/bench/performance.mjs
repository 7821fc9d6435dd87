// Measures everything that docs/performance.md shows and writes the page:
//
//   node scripts/bench/performance.mjs                     all parts, then the page
//   node scripts/bench/performance.mjs --only peers,memory these parts; the others stay as they were
//   node scripts/bench/performance.mjs --only none         the page alone, from docs/performance.json
//   --quick        a few rounds of everything, to see that it works
//   --models A,B   other networks than the default ones
//   --out FOLDER   instead of docs/
//   --check        compares the page with what docs/performance.json says, and changes nothing
//
// docs/performance.json holds the raw results; each part has its date and machine. docs/performance-notes.md is written by
// hand and ends the page.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bars } from './performance/chart.mjs'
import { machine } from './performance/machine.mjs'
import { nameOf, zoo } from './performance/models.mjs'
import { page } from './performance/page.mjs'
import { parts } from './performance/parts.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(parts).join(',') },
    quick: { type: 'boolean', default: false },
    models: { type: 'string' },
    out: { type: 'string', default: `${root}docs` },
    check: { type: 'boolean', default: false },
  },
})

/** Runs a part's program and resolves with its JSON. The program writes to our stderr. */
function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 2] })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    child.on('close', (status) => {
      if (status !== 0) reject(new Error(`node ${args.join(' ')} ended with status ${status}`))
      else resolve(parse(text))
    })
  })
}

/** Reads one JSON object, or one object per line. */
function parse(text) {
  const lines = text.trim().split('\n')
  try {
    return JSON.parse(text)
  } catch {
    return lines.map((line) => JSON.parse(line))
  }
}

async function measure(results) {
  const names = options.only === 'none' || options.check ? [] : options.only.split(',')
  const unknown = names.find((name) => !(name in parts))
  if (unknown) throw new Error(`--only: ${unknown} is none of ${Object.keys(parts).join(', ')}`)
  const models = options.models ? options.models.split(',') : zoo()
  for (const name of names) {
    const { script, args } = parts[name]
    if (!existsSync(`${root}${script}`)) {
      console.error(`${name}: left out, there is no ${script}`)
      continue
    }
    const given = args({ models, isQuick: options.quick })
    if (!given) {
      console.error(`${name}: left out, none of its networks is there`)
      continue
    }
    console.error(`\n${name}`)
    const data = await run([script, ...given])
    results[name] = { date: new Date().toISOString().slice(0, 10), machine: machine(), data: withoutFolders(data) }
    writeFileSync(raw, serialize(results))
  }
}

/** Replaces paths of models by their names, so results do not show folders of the machine. */
function withoutFolders(data) {
  if (Array.isArray(data)) return data.map(withoutFolders)
  return 'model' in data ? { ...data, model: nameOf(data.model) } : data
}

/** JSON with one part per line. */
function serialize(measured) {
  return `{"parts":{\n${Object.entries(measured)
    .map(([name, part]) => `${JSON.stringify(name)}:${JSON.stringify(part)}`)
    .join(',\n')}\n}}\n`
}

const raw = `${options.out}/performance.json`
const results = existsSync(raw) ? JSON.parse(readFileSync(raw, 'utf8')).parts : {}
await measure(results)

const notes = `${root}docs/performance-notes.md`
const files = {
  'performance.md': page(results, existsSync(notes) ? readFileSync(notes, 'utf8') : ''),
  ...(results.peers ? { 'performance.svg': bars(results.peers.data.models) } : {}),
}
for (const [name, text] of Object.entries(files)) {
  const file = `${options.out}/${name}`
  if (!options.check) writeFileSync(file, text)
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    console.error(
      `docs/${name} is not what docs/performance.json says: run node scripts/bench/performance.mjs --only none`,
    )
    process.exitCode = 1
  }
}
