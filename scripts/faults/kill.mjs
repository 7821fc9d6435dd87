// Row `kill`: a process with an outbox on a real disk is killed at random moments, and the next one continues.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { peek } from '../../dist/publish/outbox/peek.js'
import { randomOf } from './disk.mjs'
import { pause, temporaryFolder } from './parts.mjs'

const victim = fileURLToPath(new URL('victim.mjs', import.meta.url))
const payloadOf = (seq) => JSON.stringify({ seq, filling: String(seq % 10).repeat(100 + (seq % 9) * 90) })

export async function ownKills({ kills = 50, seed = 1 } = {}) {
  const { folder, remove } = temporaryFolder()
  const random = randomOf(seed)
  const confirmed = new Set()
  const given = new Set()
  const report = {
    row: 'kill',
    kills,
    confirmed: 0,
    given: 0,
    found: 0,
    lost: 0,
    corrupted: 0,
    reused: 0,
    failures: [],
  }
  let highest = 0
  for (let kill = 1; kill <= kills; kill++) {
    const child = spawn(process.execPath, [victim, folder, String(seed * 1000 + kill)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    const closed = once(child, 'close')
    while (!/^[=!]/.test(output) && child.exitCode === null) await pause(2)
    await pause(random() * 120)
    child.kill('SIGKILL')
    await closed
    for (const line of output.split('\n')) {
      const [sign, number] = [line[0], Number(line.slice(2))]
      if (sign === '!') report.failures.push(`kill ${kill}: ${line}`)
      if (sign === '=' && number < highest) report.reused += highest - number
      // The last line may be incomplete.
      if (!output.includes(`${line}\n`)) continue
      if (sign === '+') {
        if (confirmed.has(number)) report.reused++
        confirmed.add(number)
        highest = Math.max(highest, number)
      }
      if (sign === '-') given.add(number)
    }
    const glance = await peek(folder)
    const found = new Map()
    for await (const { seq, payload } of glance.events()) found.set(seq, payload)
    for (const [seq, payload] of found) {
      if (payload === payloadOf(seq)) continue
      report.corrupted++
      report.failures.push(`kill ${kill}: event ${seq} is changed`)
    }
    for (const seq of confirmed) {
      if (given.has(seq) || found.has(seq)) continue
      report.lost++
      report.failures.push(`kill ${kill}: event ${seq} is lost`)
    }
    report.found = found.size
  }
  remove()
  return { ...report, confirmed: confirmed.size, given: given.size }
}
