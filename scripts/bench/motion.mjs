// How many inferences the motion gate saves over a made day, and whether it misses or delays a label change:
//   node scripts/bench/motion.mjs [--hours 24] [--compress 20] [--fps 10] [--seed 1] [--shared ../shared] [--json]
// The day is that of motion/day.mjs. A stand-in for a classifier names the state that is shown to more than half; the
// policy is the real one. Delays are against the same day with each frame classified.
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { initialPolicy, isUndecided, observe, policyDefaults } from '../../dist/decision/policy.js'
import { MotionGate } from '../../dist/zone/motion/gate.js'
import { Day, height, width } from './motion/day.mjs'

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '24' },
    compress: { type: 'string', default: '20' },
    fps: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    shared: { type: 'string', default: process.env.GAPCAM_SHARED ?? '../shared' },
    json: { type: 'boolean', default: false },
  },
})
const [hours, compress, fps, seed] = [values.hours, values.compress, values.fps, values.seed].map(Number)

const grey = async (file, [w, h]) =>
  sharp(`${values.shared}/${file}`).resize(w, h, { fit: 'fill' }).greyscale().raw().toBuffer()

const maxIdleMs = 60_000

/** Zones: the photographs of the two states, whether they fill the zone, and the ground where they do not. */
const zones = [
  { name: 'parking spot', states: ['parking-spot/empty', 'parking-spot/occupied'], box: [0, 0, width, height] },
  {
    name: 'screw in a scene',
    states: ['screw/hole', 'screw/screw'],
    box: [50, 40, 40, 40],
    ground: 'images/dog-2.jpg',
  },
  { name: 'toy in a scene', states: ['toy/whole', 'toy/broken'], box: [16, 30, 36, 48], ground: 'images/owl.jpg' },
  { name: 'meter digit', states: ['gas-meter/3', 'gas-meter/4'], box: [56, 34, 16, 28], ground: 'images/hot-dog.jpg' },
]

async function picturesOf({ states, box: [, , w, h], ground }, number) {
  const file = (state) => `teach/${state}/test-${String(number).padStart(2, '0')}.jpg`
  const [before, after] = await Promise.all(states.map((state) => grey(file(state), [w, h])))
  return { ground: ground ? await grey(ground, [width, height]) : new Uint8Array(width * height), before, after }
}

const labels = ['one', 'two']
const predictionOf = (share) => {
  const scores = share > 0.5 ? [0.1, 0.9] : [0.9, 0.1]
  const index = share > 0.5 ? 1 : 0
  return {
    modelId: 'stand-in',
    labels,
    scores: Float32Array.from(scores),
    top: [{ index, label: labels[index], score: 0.9 }],
  }
}

/** The times at which labels settle. */
function follower() {
  let policy = initialPolicy(0)
  let last = null
  const settled = []
  return {
    settled,
    isUndecided: () => last !== null && isUndecided(policy, last, policyDefaults),
    see(share, nowMs) {
      last = predictionOf(share)
      const step = observe(policy, last, policyDefaults, nowMs)
      policy = step.state
      if (step.settled && step.settled.index !== null) settled.push({ label: step.settled.label, nowMs })
    },
  }
}

function play(day) {
  const gate = new MotionGate({ x: 0, y: 0, width: 1, height: 1 })
  const [always, gated] = [follower(), follower()]
  const reasons = {}
  let [frames, inferences, lastMs] = [0, 0, -Infinity]
  const times = []
  for (let seen = day.next(); seen; seen = day.next()) {
    const { frame, nowMs, share } = seen
    frames++
    always.see(share, nowMs)
    const start = performance.now()
    const moved = gate.moved({ format: 'grey', width, height, stride: width, pixels: frame }, nowMs)
    times.push(performance.now() - start)
    const reason = moved ?? (gated.isUndecided() ? 'settling' : nowMs - lastMs >= maxIdleMs ? 'max_idle' : null)
    if (reason === null) continue
    inferences++
    lastMs = nowMs
    reasons[reason] = (reasons[reason] ?? 0) + 1
    gated.see(share, nowMs)
    gate.looked(reason, nowMs)
  }
  return {
    frames,
    inferences,
    reasons,
    gateMs: times.sort((a, b) => a - b)[frames >> 1],
    ...compared(always.settled, gated.settled),
  }
}

/**
 * How much later each label settles with the gate. It may settle earlier: after a pause the smoothing starts anew. A label
 * that does not settle before the next change is missed.
 */
function compared(always, gated) {
  const delays = []
  let missed = 0
  always.forEach(({ label, nowMs }, i) => {
    const until = always[i + 1]?.nowMs ?? Infinity
    const found = gated.find((other) => other.label === label && other.nowMs > nowMs - 1500 && other.nowMs < until)
    if (found) delays.push(found.nowMs - nowMs)
    else missed++
  })
  const wrong = gated.length - delays.length
  return { changes: always.length, missed, wrong, latestMs: Math.max(0, ...delays) }
}

const results = []
for (const [i, zone] of zones.entries()) {
  const pictures = await picturesOf(zone, 2 + i)
  const day = new Day({ pictures, box: zone.box, seed: seed + i, hours, compress, fps, changeEveryMs: 40_000 })
  const result = { zone: zone.name, ...play(day) }
  result.saved = 1 - result.inferences / result.frames
  results.push(result)
  const reasons = Object.entries(result.reasons).map(([reason, count]) => `${reason} ${count}`)
  console.error(
    `${zone.name.padEnd(18)} saved ${(100 * result.saved).toFixed(1)} %  changes ${result.changes}  missed ${result.missed}  ` +
      `wrong ${result.wrong}  latest ${result.latestMs.toFixed(0)} ms  gate ${result.gateMs.toFixed(4)} ms  (${reasons.join(', ')})`,
  )
}
const total = results.reduce((sum, { frames, inferences }) => [sum[0] + frames, sum[1] + inferences], [0, 0])
console.error(`in all: ${(100 * (1 - total[1] / total[0])).toFixed(1)} % of ${total[0]} inferences saved`)
if (values.json) console.log(JSON.stringify({ hours, compress, fps, zones: results, saved: 1 - total[1] / total[0] }))
