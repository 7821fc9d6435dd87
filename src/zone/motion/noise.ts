/** Sensor noise from two pictures in a row. */

/** Bins of the histogram of differences, in all and for each level. */
const perLevel = 10
const bins = 512
const counts = new Uint16Array(bins)

/**
 * The standard deviation of the noise of one cell, in levels, from a picture and the one before: from the median of
 * their differences, so it holds as long as less than half of the picture moves. Flicker of all cells alike is no noise.
 */
export function noiseBetween(before: Float32Array, now: Float32Array): number {
  counts.fill(0)
  for (let i = 0; i < now.length; i++) {
    const bin = Math.floor((now[i]! - before[i]!) * perLevel + (bins / 2 + 0.5))
    counts[bin < 0 ? 0 : bin >= bins ? bins - 1 : bin]!++
  }
  const half = now.length / 2
  let middle = 0
  for (let seen = counts[0]!; seen < half && middle < bins - 1; ) seen += counts[++middle]!
  let reach = 0
  for (let seen = counts[middle]!; seen < half && reach < bins; ) {
    reach++
    seen += (counts[middle - reach] ?? 0) + (counts[middle + reach] ?? 0)
  }
  // The median deviation of a normal distribution is 0.6745 standard deviations; a difference has twice the variance.
  return (reach / perLevel / 0.6745) * Math.SQRT1_2
}
