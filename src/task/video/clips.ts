/** The clips of an open engine: what each of its views needs to look at clips. */
import { clipNames } from '../../model/clip-graph.js'
import type { VideoLayout } from '../../model/metadata/video.js'
import type { Clip, ClipSlot } from '../../engine/clip.js'
import type { Engine, EngineTensor } from '../../engine/engine.js'
import { ClipFrames, SharedFrames } from './frames.js'
import { ClipVectors } from './pooled.js'
import { ClipWindow } from './window.js'

/** Clips of an engine that was opened on a `clipGraph`. */
export interface Clips {
  /** The picture of the first frame: all others have the same form. */
  readonly first: ClipSlot
  /** The clips of one view. */
  readonly make: () => Clip
}

/**
 * Puts clips on an engine. `slotOf` turns the part of an input that is one picture into a place for a frame; null where it is
 * none. Gives a reason where the engine has no such inputs.
 */
export function clipsOf<Slot extends ClipSlot>(
  layout: VideoLayout,
  engine: Pick<Engine, 'inputs' | 'outputs'>,
  slotOf: (picture: EngineTensor) => Slot | null,
): (Clips & { readonly first: Slot }) | { readonly reason: string } {
  const window = (): ClipWindow => new ClipWindow(layout.frames, layout.everyMs)
  const floats = (tensors: readonly EngineTensor[], name: string): Float32Array | null => {
    const data = tensors.find((tensor) => tensor.name === name)?.data
    return data instanceof Float32Array ? data : null
  }
  if (layout.form === 'pooled') {
    const first = engine.inputs[0] ? slotOf(engine.inputs[0]) : null
    const pairs = layout.vectors.map((name) => ({
      now: floats(engine.outputs, clipNames.vector(name)),
      rest: floats(engine.inputs, clipNames.rest(name)),
    }))
    if (!first) return { reason: 'its input is no picture with one or three channels' }
    const whole = pairs.flatMap(({ now, rest }) => (now && rest?.length === now.length ? [{ now, rest }] : []))
    if (whole.length < pairs.length) return { reason: 'the engine does not give its vectors' }
    return { first, make: () => new ClipVectors(first, whole, window()) }
  }
  const frames = engine.inputs.find(({ name }) => name === clipNames.frames)
  const order = floats(engine.inputs, clipNames.order)
  if (!(frames?.data instanceof Float32Array) || !order) return { reason: 'the engine does not take single frames' }
  const slots = partsOf(frames, frames.data).map(slotOf)
  const [first] = slots
  if (!first) return { reason: 'its frames are no pictures with one or three channels' }
  const shared = SharedFrames.of(frames.data, order, slots as readonly Slot[])
  return { first, make: () => new ClipFrames(shared, window()) }
}

/** Each frame of [frames, height, width, channels] as a picture. */
function partsOf({ name, shape }: EngineTensor, data: Float32Array): readonly EngineTensor[] {
  const [count = 0, ...sizes] = shape
  const length = data.length / count
  return Array.from({ length: count }, (_, i) => ({
    name,
    type: 'float32',
    layout: 'nhwc',
    shape: [1, ...sizes],
    data: data.subarray(i * length, (i + 1) * length),
    inFileOrder: true,
  }))
}
