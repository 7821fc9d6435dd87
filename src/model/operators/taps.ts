/** Tables of `resample` steps: a linear map along an axis of which most numbers are zero. */

/** For each output sample, the input samples of its sum. */
export type Taps = readonly (readonly { readonly index: number; readonly weight: number }[])[]

/** The taps as rectangular tables. Short rows repeat their first sample with weight 0. */
export function tapTable(rows: Taps): { indices: Int32Array; weights: Float32Array; taps: number } {
  const taps = rows.reduce((most, row) => Math.max(most, row.length), 1)
  const indices = new Int32Array(rows.length * taps)
  const weights = new Float32Array(rows.length * taps)
  rows.forEach((row, j) => {
    for (let t = 0; t < taps; t++) {
      indices[j * taps + t] = (row[t] ?? row[0])?.index ?? 0
      weights[j * taps + t] = row[t]?.weight ?? 0
    }
  })
  return { indices, weights, taps }
}
