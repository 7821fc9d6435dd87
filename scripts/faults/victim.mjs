import { writeSync } from 'node:fs'
import { openDurableOutbox } from '../../dist/publish/outbox/durable.js'

const log = { info() {}, warn() {}, debug() {} }
const clock = { now: () => performance.now(), wall: () => Date.now() }
const [folder, seed] = process.argv.slice(2)
const payloadOf = (seq) => JSON.stringify({ seq, filling: String(seq % 10).repeat(100 + (seq % 9) * 90) })
let state = Number(seed)
const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648
const outbox = await openDurableOutbox({ folder, maxBytes: 64 << 20, maxAgeMs: 1e12, ack: 'puback', log, clock })
if (outbox.stats().state !== 'ok') {
  writeSync(1, `! ${outbox.stats().reason}\n`)
  process.exit(1)
}
writeSync(1, `= ${outbox.seq}\n`)
let told = outbox.seq
outbox.listen({
  onReady: () => undefined,
  onNumbered: () => {
    for (; told < outbox.seq; told++) if (outbox.stats().state === 'ok') writeSync(1, `+ ${told + 1}\n`)
  },
})
for (;;) {
  for (let n = random() * 8; n > 0; n--) outbox.add('cam0', 'event', false, payloadOf)
  await new Promise((resolve) => setTimeout(resolve, random() * 4))
  for (let n = random() * 6; n > 0; n--) {
    const entry = outbox.takeBacklog()
    if (!entry) break
    writeSync(1, `- ${entry.seq}\n`)
    outbox.confirm(entry)
  }
}
