// A lesson without a network: 5 states of 20 pictures, three looks each. For timing its vectors have EfficientNet-Lite0's size.
const states = ['a', 'b', 'c', 'd', 'e']
const picturesOfState = 20
const looksAtPicture = 3
const ordinaryCount = 72

const map = (channels, size) => ({ name: `map of ${channels}`, layout: 'nchw', channels, height: size, width: size })
/**
 * `lesson` and `ordinary` for `fitMemory` and `fitHead`; the same numbers at every call. `channels` are those of the head's map and
 * of the middle one.
 */
export function makeLesson(partsOf, channels = [1280, 672]) {
  const parts = partsOf(map(channels[0], 7), map(channels[1], 14))
  const length = parts.reduce((sum, { map: { channels }, cells }) => sum + channels * cells * cells, 0)
  let seed = 21
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed / 0x7fffffff
  }
  const vector = () => Float32Array.from({ length }, () => Math.max(0, random() - 0.6))
  const near = (other, spread) => other.map((value) => Math.max(0, value + spread * (random() - 0.5)))
  const looks = states.flatMap((_, state) => {
    const middleOfState = vector()
    return Array.from({ length: picturesOfState }, (_, i) => {
      const shown = near(middleOfState, 0.4)
      return Array.from({ length: looksAtPicture }, () => ({
        state,
        picture: state * picturesOfState + i,
        raw: near(shown, 0.1),
        sight: [100, 40, 8],
      }))
    }).flat()
  })
  const ordinary = Array.from({ length: ordinaryCount }, vector)
  return { lesson: { states, parts, looks, none: [] }, ordinary }
}
