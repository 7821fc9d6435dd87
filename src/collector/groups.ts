/**
 * Groups of alike pictures: agglomerative clustering of unit vectors with Ward's criterion (nearest-neighbour chain, Murtagh
 * 1983, with the Lance-Williams update). The same vectors in the same order give the same groups. One tree gives both the groups and,
 * near its leaves, the near-duplicates.
 */

/** A merge of two clusters, named by their first members; `height` is Ward's distance, 2 − 2·cosine for two pictures. */
interface Merge {
  readonly first: number
  readonly second: number
  readonly height: number
}

/** Indices of the vectors of one group, by what is nearly the same picture: each list is one of these, oldest first. */
export type Group = readonly (readonly number[])[]

/** At most this many groups. */
const mostGroups = 12

/** A merge lower than this share of the highest joins pictures of one scene. */
const sceneShare = 0.05

/** Pictures with a cosine above 0.97 are nearly the same. */
const twinHeight = 2 - 2 * 0.97

/**
 * The groups, the largest first. `products` are those of all pairs of unit vectors, [count, count], row by row; it is
 * overwritten.
 */
export function groupsOf(products: Float64Array, count: number): readonly Group[] {
  if (count === 0) return []
  const merges = linkage(products, count)
  const highest = merges.at(-1)?.height ?? 0
  const splits = merges.filter(({ height }) => height > Math.max(twinHeight, sceneShare * highest)).length
  const groups = cut(count, merges.slice(0, count - Math.min(splits + 1, mostGroups)))
  const twins = cut(
    count,
    merges.filter(({ height }) => height <= twinHeight),
  )
  const twinOf = new Map(twins.flatMap((members) => members.map((i) => [i, members[0]!] as const)))
  return groups
    .map((members) => [...groupedBy(members, (i) => twinOf.get(i)!).values()])
    .sort((a, b) => sizeOf(b) - sizeOf(a) || a[0]![0]! - b[0]![0]!)
}

/** Pictures of a group. */
export const sizeOf = (group: Group): number => group.reduce((sum, { length }) => sum + length, 0)

/** All merges, the lowest first. A merge is never lower than those that made its clusters, so a cut needs no tree. */
function linkage(products: Float64Array, count: number): readonly Merge[] {
  const distances = products
  for (let i = 0; i < distances.length; i++) distances[i] = 2 - 2 * distances[i]!
  const sizes = new Float64Array(count).fill(1)
  const alive = new Set(Array.from({ length: count }, (_, i) => i))
  const merges: Merge[] = []
  const chain: number[] = []
  while (alive.size > 1) {
    if (chain.length === 0) chain.push(alive.values().next().value!)
    const tip = chain.at(-1)!
    const before = chain.at(-2)
    const nearest = nearestTo(tip, before, { distances, count, alive })
    if (nearest !== before) {
      chain.push(nearest)
      continue
    }
    chain.length -= 2
    const merge = {
      first: Math.min(tip, nearest),
      second: Math.max(tip, nearest),
      height: distances[tip * count + nearest]!,
    }
    merges.push(merge)
    alive.delete(merge.second)
    update(merge, { distances, count, alive }, sizes)
  }
  return merges.sort((a, b) => a.height - b.height)
}

interface Clusters {
  readonly distances: Float64Array
  readonly count: number
  /** Clusters, named by their first members. */
  readonly alive: ReadonlySet<number>
}

/** The nearest cluster; `before` where it is as near as another, so that the chain ends. */
function nearestTo(tip: number, before: number | undefined, { distances, count, alive }: Clusters): number {
  let nearest = before ?? -1
  let least = before === undefined ? Infinity : distances[tip * count + before]!
  for (const other of alive) {
    const distance = distances[tip * count + other]!
    if (other === tip || distance >= least) continue
    nearest = other
    least = distance
  }
  return nearest
}

/** Distances from the merged cluster, which keeps the name of `first`. */
function update({ first, second, height }: Merge, { distances, count, alive }: Clusters, sizes: Float64Array): void {
  const [a, b] = [sizes[first]!, sizes[second]!]
  for (const other of alive) {
    if (other === first) continue
    const c = sizes[other]!
    const [toFirst, toSecond] = [distances[first * count + other]!, distances[second * count + other]!]
    const distance = ((a + c) * toFirst + (b + c) * toSecond - c * height) / (a + b + c)
    distances[first * count + other] = distance
    distances[other * count + first] = distance
  }
  sizes[first] = a + b
}

/** The clusters after some merges, each in order; clusters in order of their first members. */
function cut(count: number, merges: readonly Merge[]): readonly (readonly number[])[] {
  const parent = Array.from({ length: count }, (_, i) => i)
  const rootOf = (i: number): number => {
    let root = i
    while (parent[root] !== root) root = parent[root]!
    return root
  }
  for (const { first, second } of merges) {
    const [a, b] = [rootOf(first), rootOf(second)]
    parent[Math.max(a, b)] = Math.min(a, b)
  }
  return [
    ...groupedBy(
      Array.from({ length: count }, (_, i) => i),
      rootOf,
    ).values(),
  ]
}

/** Items by a key, in order. */
export function groupedBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return groups
}
