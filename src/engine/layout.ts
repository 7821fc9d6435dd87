/** Copies between ONNX's order (NCHW) and the kernels' order (NHWC). */

/** Copies [N,C,H,W] into [N,H,W,C]. `shape` is the source's. */
export function nchwToNhwc(
  source: ArrayLike<number>,
  shape: readonly number[],
  target: { [index: number]: number },
): void {
  const [n = 1, c = 1, h = 1, w = 1] = shape
  permute(source, target, n, c, h * w)
}

/** Copies [N,H,W,C] into [N,C,H,W]. `shape` is the source's. */
export function nhwcToNchw(
  source: ArrayLike<number>,
  shape: readonly number[],
  target: { [index: number]: number },
): void {
  const [n = 1, h = 1, w = 1, c = 1] = shape
  permute(source, target, n, h * w, c)
}

/** Copies [outer, rows, columns] into [outer, columns, rows]. */
function permute(
  source: ArrayLike<number>,
  target: { [index: number]: number },
  outer: number,
  rows: number,
  columns: number,
): void {
  for (let o = 0; o < outer; o++) {
    const base = o * rows * columns
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < columns; k++) target[base + k * rows + r] = source[base + r * columns + k]!
    }
  }
}
