// A lesson for timing: 5 states of 20 pictures, three looks each, with vectors of EfficientNet-Lite0's size and no network.
const states = ['a', 'b', 'c', 'd', 'e']
const picturesOfState = 20
const looksAtPicture = 3
const ordinaryCount = 72

const map = (channels, size) => ({ name: `map of ${channels}`, layout: 'nchw', channels, height: size, width: size })
const [head, middle] = [map(1280, 7), map(672, 14)]

/** `lesson` and `ordinary` for `fitMemory` and `fitHead`; the same numbers at every call. */
export function makeLesson(partsOf) {
  const parts = partsOf(head, middle)
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
