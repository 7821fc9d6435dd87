// A made day before one zone, as grey frames: photographs of two states of a thing that change into each other, under sensor
// noise, sun and clouds, a switch to infrared, rain, insects, swaying leaves and wandering shadows. What is slow by day
// (sun, shadows, weather) is compressed in time; what is fast (rain drops, insects, leaves, people) is not.

export const [width, height] = [128, 96]
const area = width * height

/** Seeded random numbers (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Normal numbers in a table: noise is read from a random place of it. */
function noiseTable(random) {
  const table = new Float32Array(1 << 18)
  for (let i = 0; i < table.length; i++) {
    let sum = -6
    for (let k = 0; k < 12; k++) sum += random()
    table[i] = sum
  }
  return table
}

const smooth = (t) => (t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t))

/** Times of events, `perMinute` on average, each with what `make` gives. */
function eventsOf(random, endMs, perMinute, make) {
  const events = []
  for (let at = 0; perMinute > 0; ) {
    at += (-Math.log(1 - random()) * 60_000) / perMinute
    if (at >= endMs) break
    events.push({ at, ...make(at) })
  }
  return events
}

/** Label changes: the moment, how long it takes (0 for a cut), and how the new state comes. */
function changesOf(random, endMs, everyMs) {
  const changes = []
  for (let at = 8000; at < endMs - 15_000; at += everyMs * (0.4 + 1.2 * random())) {
    const kind = ['cut', 'fade', 'slide'][Math.floor(random() * 3)]
    changes.push({ at, tookMs: kind === 'cut' ? 0 : 300 + 2500 * random(), kind })
  }
  return changes
}

/** Which weather and time of day there is at a time of day from 0 (midnight) to 1. */
const isRaining = (day) => (day > 0.1 && day < 0.18) || (day > 0.55 && day < 0.64)
const isWindy = (day) => day > 0.3 && day < 0.7
const isNight = (day) => day < 0.27 || day > 0.77

export class Day {
  /**
   * pictures: {ground, before, after}, grey; `before` and `after` cover the whole zone, or the box [x, y, w, h] in it.
   * hours of the day that are played from midnight on; compress: how many times faster; fps; changeEveryMs: between label
   * changes, on average.
   */
  constructor({ pictures, box = [0, 0, width, height], seed, hours, compress, fps, changeEveryMs }) {
    const random = randomOf(seed)
    Object.assign(this, { pictures, box, random, dtMs: 1000 / fps })
    this.endMs = (hours * 3_600_000) / compress
    this.dayMs = (24 * 3_600_000) / compress
    this.noise = noiseTable(random)
    this.changes = changesOf(random, this.endMs, changeEveryMs)
    this.clouds = eventsOf(random, this.endMs, 0.4, () => ({
      tookMs: 4000 + 16_000 * random(),
      depth: 0.2 + 0.3 * random(),
    }))
    this.insects = eventsOf(random, this.endMs, 0.8, () => ({
      tookMs: 600 + 2500 * random(),
      y: random() * height,
      slope: random() - 0.5,
      radius: 3 + 6 * random(),
    }))
    this.people = eventsOf(random, this.endMs, 0.3, () => ({
      tookMs: 1500 + 4000 * random(),
      y: height * (0.3 + 0.6 * random()),
      tall: 20 + 30 * random(),
      level: 20 + 160 * random(),
    }))
    this.scene = new Float32Array(area)
    this.frame = new Uint8Array(area)
    this.nowMs = 0
    this.state = 0
    this.nextChange = 0
  }

  /**
   * The next frame: `frame` (reused), its time, and how much of the difference between the states is that of the second.
   * null at the end.
   */
  next() {
    const nowMs = this.nowMs
    if (nowMs >= this.endMs) return null
    this.nowMs += this.dtMs
    const day = (nowMs / this.dayMs) % 1
    const share = this.drawThing(nowMs)
    if (isWindy(day)) this.drawLeaves(nowMs)
    if (!isNight(day)) this.drawShadow(day)
    this.drawPassing(nowMs, day)
    const sigma = this.drawLight(nowMs, day)
    if (isRaining(day)) this.drawRain()
    this.expose(sigma)
    return { frame: this.frame, nowMs, day, share }
  }

  drawThing(nowMs) {
    const {
      scene,
      pictures,
      changes,
      box: [left, top, wide, high],
    } = this
    scene.set(pictures.ground)
    const change = changes[this.nextChange]
    let [share, kind] = [0, 'cut']
    if (change && nowMs >= change.at) {
      share = change.tookMs === 0 ? 1 : Math.min(1, (nowMs - change.at) / change.tookMs)
      kind = change.kind
      if (share >= 1) {
        this.state = 1 - this.state
        this.nextChange++
        share = 0
      }
    }
    const [from, to] = this.state === 0 ? [pictures.before, pictures.after] : [pictures.after, pictures.before]
    const mixed = smooth(share)
    let [seen, all] = [0, 0]
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        const i = y * wide + x
        const part = kind === 'slide' ? (x < mixed * wide ? 1 : 0) : mixed
        const difference = to[i] - from[i]
        scene[(top + y) * width + left + x] = from[i] + part * difference
        seen += part * difference * difference
        all += difference * difference
      }
    }
    return this.state === 0 ? seen / all : 1 - seen / all
  }

  /** Leaves in the upper right: the ground itself, moved to and fro. */
  drawLeaves(nowMs) {
    const {
      scene,
      pictures: { ground },
    } = this
    const t = nowMs / 1000
    const gust = 1 + 0.8 * Math.sin(t / 7)
    for (let y = 0; y < 36; y++) {
      const dx = Math.round(gust * (3 * Math.sin(2.1 * t + y / 9) + 1.5 * Math.sin(5.3 * t + y / 4)))
      for (let x = 92; x < width; x++)
        scene[y * width + x] = ground[((y * 2) % height) * width + ((x + dx + width) % width)]
    }
  }

  /** The soft edge of a shadow that crosses the zone twice a day. */
  drawShadow(day) {
    const edge = ((day * 4) % 1) * (width + 60) - 30
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) this.scene[y * width + x] *= 1 - 0.45 * smooth((edge - x - y / 3) / 8 + 0.5)
    }
  }

  /** People and cars that go by, and insects at night. */
  drawPassing(nowMs, day) {
    for (const { at, tookMs, y, tall, level } of this.people) {
      const t = (nowMs - at) / tookMs
      if (t > 0 && t < 1) this.fill(t * (width + 30) - 30, y - tall / 2, 14, tall, level)
    }
    if (!isNight(day)) return
    for (const { at, tookMs, y, slope, radius } of this.insects) {
      const t = (nowMs - at) / tookMs
      if (t > 0 && t < 1) this.fill(t * width - radius, y + slope * t * width - radius, 2 * radius, 2 * radius, 230)
    }
  }

  fill(left, top, wide, high, level) {
    for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, top + high); y++)
      for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, left + wide); x++)
        this.scene[y * width + x] = level
  }

  /** Sun, clouds, automatic exposure and infrared. Returns the noise of the sensor. */
  drawLight(nowMs, day) {
    const { scene } = this
    const sun = Math.max(0, Math.sin((day - 0.25) * 2 * Math.PI))
    if (isNight(day)) {
      // Infrared: leaves and cloth are bright, the corners dark.
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const i = y * width + x
          const corner = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 1.2
          scene[i] = (60 + 0.55 * scene[i]) * (1 - corner)
        }
      }
      return 7
    }
    let gain = 0.35 + 0.65 * Math.sqrt(sun)
    for (const { at, tookMs, depth } of this.clouds) {
      const t = (nowMs - at) / tookMs
      if (t > 0 && t < 1) gain *= 1 - depth * Math.sin(Math.PI * t) ** 2
    }
    for (let i = 0; i < area; i++) scene[i] *= gain
    return 2 + 4 * (1 - sun)
  }

  drawRain() {
    const { random, scene } = this
    for (let drop = 0; drop < 14; drop++) {
      let [x, y] = [Math.floor(random() * width), Math.floor(random() * height)]
      for (const end = y + 6 + 12 * random(); y < end && y < height; y++) {
        scene[y * width + x] += 35
        if (random() < 0.2) x = Math.min(width - 1, x + 1)
      }
    }
  }

  expose(sigma) {
    const { noise, scene, frame, random } = this
    let at = Math.floor(random() * (noise.length - area))
    for (let i = 0; i < area; i++) {
      const level = scene[i] + sigma * noise[at++] + 0.5
      frame[i] = level < 0 ? 0 : level > 255 ? 255 : level
    }
  }
}
