/** How the light of a whole picture has changed against another: now ≈ gain · before + offset. */

/** A change of light. */
export interface Light {
  readonly gain: number
  readonly offset: number
}

/** Before anything has changed. */
export const sameLight: Light = { gain: 1, offset: 0 }

/** Pictures with less contrast than this (variance in levels²) say little of the gain. */
const stiffness = 4
const rounds = 3

/**
 * Fits the light over the cells of a picture. Cells that another thing moved into count little: each is weighted by how
 * well it follows the guess, and the fit is repeated. `tolerance` is the difference in levels that is taken for noise.
 */
export function fitLight(before: Float32Array, now: Float32Array, guess: Light, tolerance: number): Light {
  let { gain, offset } = guess
  const softness = 1 / (tolerance * tolerance)
  for (let round = 0; round < rounds; round++) {
    let [sum, sumX, sumY, sumXX, sumXY] = [0, 0, 0, 0, 0]
    for (let i = 0; i < now.length; i++) {
      const [x, y] = [before[i]!, now[i]!]
      const rest = y - gain * x - offset
      const weight = 1 / (1 + rest * rest * softness)
      sum += weight
      sumX += weight * x
      sumY += weight * y
      sumXX += weight * x * x
      sumXY += weight * x * y
    }
    const [meanX, meanY] = [sumX / sum, sumY / sum]
    const variance = sumXX / sum - meanX * meanX
    const covariance = sumXY / sum - meanX * meanY
    gain = (covariance + stiffness) / (variance + stiffness)
    offset = meanY - gain * meanX
  }
  return { gain, offset }
}
