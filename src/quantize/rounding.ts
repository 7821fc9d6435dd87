/**
 * Rounding that makes its own errors good: the weights of an output are rounded one after the other, and those that are left take
 * over what the error would change, as far as their inputs vary together (optimal brain quantization, Frantar and Alistarh 2022,
 * in the order and with the Cholesky factor of GPTQ, 2023). With weights rounded alone, the outputs of MobileNetV2 gain 6 dB.
 */

/** How far a covariance is trusted: estimates from few samples lose their off-diagonal part. */
const shrinkage = (size: number, samples: number): number => Math.min(1, (0.5 * size) / (size + samples) + 0.01)

/**
 * Prepares the factor for `roundRow` from a covariance [size, size], which it changes: the upper triangular U with UᵀU = H⁻¹ for H
 * in `order`, the inputs that vary most first. Null for inputs that do not vary.
 */
export function compensation(
  covariance: Float64Array,
  size: number,
  samples: number,
): { readonly order: Int32Array; readonly factor: Float64Array } | null {
  const keep = 1 - shrinkage(size, samples)
  const diagonal = Float64Array.from({ length: size }, (_, i) => covariance[i * size + i]!)
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / size
  if (!(mean > 0)) return null
  const order = Int32Array.from({ length: size }, (_, i) => i).sort((a, b) => diagonal[b]! - diagonal[a]!)
  const h = new Float64Array(size * size)
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      const value = covariance[order[i]! * size + order[j]!]!
      h[i * size + j] = i === j ? value + 0.01 * mean : keep * value
    }
  return backwardCholesky(h, size) ? { order, factor: invertUpper(h, size) } : null
}

/** H = R·Rᵀ with R upper triangular, in place (the lower half is left as it was). False where H is not positive definite. */
function backwardCholesky(h: Float64Array, size: number): boolean {
  for (let j = size - 1; j >= 0; j--) {
    const pivot = h[j * size + j]!
    if (!(pivot > 0)) return false
    const root = Math.sqrt(pivot)
    // Column j of R, gathered so that the inner loop runs along memory.
    const column = new Float64Array(j + 1)
    for (let i = 0; i < j; i++) h[i * size + j] = column[i] = h[i * size + j]! / root
    h[j * size + j] = root
    for (let i = 0; i < j; i++) {
      const factor = column[i]!
      if (factor === 0) continue
      const start = i * size
      for (let k = i; k < j; k++) h[start + k]! -= factor * column[k]!
    }
  }
  return true
}

/** The inverse of an upper triangular matrix. */
function invertUpper(r: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size)
  for (let i = size - 1; i >= 0; i--) {
    const row = inverse.subarray(i * size, (i + 1) * size)
    row[i] = 1
    for (let k = i + 1; k < size; k++) {
      const factor = r[i * size + k]!
      if (factor === 0) continue
      const other = inverse.subarray(k * size, (k + 1) * size)
      for (let j = k; j < size; j++) row[j]! -= factor * other[j]!
    }
    const pivot = r[i * size + i]!
    for (let j = i; j < size; j++) row[j]! /= pivot
  }
  return inverse
}

/**
 * Rounds one row of weights in units of its scale, in place, to whole numbers from -127 to 127.
 * `round` is the rounding of QuantizeLinear.
 */
export function roundRow(
  row: Float64Array,
  { order, factor }: { readonly order: Int32Array; readonly factor: Float64Array },
  round: (value: number) => number,
): void {
  const size = row.length
  const left = Float64Array.from(order, (i) => row[i]!)
  for (let i = 0; i < size; i++) {
    const rounded = Math.max(-127, Math.min(127, round(left[i]!)))
    const start = i * size
    const error = (left[i]! - rounded) / factor[start + i]!
    row[order[i]!] = rounded
    if (error === 0) continue
    for (let j = i + 1; j < size; j++) left[j]! -= error * factor[start + j]!
  }
}
