/** Back from a prepared picture to its levels: what a network sees, as people see it. */
import type { RgbImage } from './image.js'
import type { PreprocessSpec } from './spec.js'

/** The picture that was prepared as `values`: floats with channels last, three of them. */
export function levelsOf(
  values: Float32Array,
  { width, height, order, mean, std }: Pick<PreprocessSpec, 'width' | 'height' | 'order' | 'mean' | 'std'>,
): RgbImage {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i += 3)
    for (let channel = 0; channel < 3; channel++) {
      const level = Math.round(values[i + channel]! * std[channel]! + mean[channel]!)
      data[i + (order === 'rgb' ? channel : 2 - channel)] = Math.min(255, Math.max(0, level))
    }
  return { data, width, height }
}
