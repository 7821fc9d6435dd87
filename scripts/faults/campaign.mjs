// The fault table of docs/outbox.md, row by row, with records of the numbers sent and received. Needs mosquitto.
//   node --expose-gc scripts/faults/campaign.mjs [--row NAME[,NAME]] [--size bounded|full|NUMBER] [--seed N] [--per-second N]
// `bounded` is what `npm test` runs, a number is a multiple of it, and `full` is the whole table, which takes half an
// hour. Prints one JSON object for each row on stdout and one line on stderr; ends with status 1 when a guarantee does
// not hold. --per-second limits the row `offline`, which otherwise is as fast as the disk.
import { parseArgs } from 'node:util'
import { brokerKills } from './broker.mjs'
import { ownKills } from './kill.mjs'
import { network } from './network.mjs'
import { clock, offline } from './offline.mjs'
import { calls, power } from './storage.mjs'

const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    size: { type: 'string', default: 'bounded' },
    seed: { type: 'string', default: '1' },
    'per-second': { type: 'string', default: 'Infinity' },
  },
})
const seed = Number(values.seed)
const factor = values.size === 'bounded' ? 1 : Number(values.size)
const size = (bounded, full) => (values.size === 'full' ? full : Math.round(bounded * factor))

/** Each row: what runs, and the condition that its report must meet. */
const rows = {
  'broker-application': [
    () => brokerKills({ kills: size(20, 1000), ack: 'application', seed }),
    (r) => r.isDone && r.lost === 0 && r.unknown === 0 && r.gaps === 0,
  ],
  'broker-puback': [
    () => brokerKills({ kills: size(20, 1000), ack: 'puback', seed }),
    (r) => r.isDone && r.lostUnacknowledged === 0 && r.unknown === 0 && r.gaps === 0,
  ],
  kill: [
    () => ownKills({ kills: size(50, 1000), seed }),
    (r) => r.failures.length === 0 && r.lost === 0 && r.reused === 0 && r.confirmed > 0,
  ],
  power: [() => power({ points: size(1500, 10_000), seed }), (r) => r.failures.length === 0 && r.confirmed > 0],
  calls: [
    () => calls({ points: size(300, 10_000), seed }),
    (r) => r.failures.length === 0 && r.lost === 0 && r.duplicates === 0,
  ],
  offline: [
    () => offline({ events: size(18_000, 2_600_000), perSecond: Number(values['per-second']) }),
    (r) =>
      r.lost === 0 &&
      r.repeated === 0 &&
      r.isInOrder &&
      (!globalThis.gc || (r.mostHeldGrowthMb <= 10 && r.rssGrowthMb <= 10)),
  ],
  clock: [() => clock(), (r) => r.lost === 0 && r.reconnects === 0 && r.dropped === 0],
  ...Object.fromEntries(
    ['halfOpen', 'slow', 'latency', 'resets', 'slicing'].map((scenario) => [
      `network-${scenario}`,
      [
        () =>
          network({
            scenario,
            seconds: size(5, 120),
            times: size(10, 100),
            keepaliveSeconds: values.size === 'bounded' ? 2 : 15,
          }),
        (r) =>
          r.lost === 0 &&
          r.unknown === 0 &&
          (scenario !== 'slow' || (r.reconnects === 0 && r.receivedWhileSlow > 1)) &&
          (scenario !== 'halfOpen' || r.isNoticed),
      ],
    ]),
  ),
}

const chosen = values.row === undefined ? Object.keys(rows) : values.row.split(',')
for (const name of chosen) {
  if (!rows[name]) throw new Error(`no row ${name}: there are ${Object.keys(rows).join(', ')}`)
  const [run, holds] = rows[name]
  const startMs = performance.now()
  const report = await run()
  const seconds = Math.round((performance.now() - startMs) / 100) / 10
  const isHeld = holds(report)
  if (!isHeld) process.exitCode = 1
  if (report.failures) report.failures = report.failures.slice(0, 20)
  process.stdout.write(`${JSON.stringify({ ...report, name, isHeld, seconds })}\n`)
  process.stderr.write(`${name}: ${isHeld ? 'holds' : 'DOES NOT HOLD'} (${seconds} s)\n`)
}
