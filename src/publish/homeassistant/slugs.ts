/**
 * Ids as parts of Home Assistant's entity ids. These allow `_` but no hyphen, none at either end, and no two in a row,
 * so that several ids can become the same: `x`, `-x` and `x-`.
 */

/** An id within an entity id. */
export function slug(id: string): string {
  return id.replace(/-+/g, '_').replace(/^_|_$/g, '') || 'gapcam'
}

/** A different part of an entity id for each of the labels, which may hold any characters. */
export function labelSlugs(labels: readonly string[]): ReadonlyMap<string, string> {
  const plain = (label: string): string =>
    label
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 40)
  const ids = new Map<string, string>()
  for (const label of labels) {
    const id = plain(label)
    ids.set(label, [...ids.values()].includes(id) ? `${id}-${ids.size}` : id)
  }
  const slugs = slugsOf([...ids.values()])
  return new Map([...ids].map(([label, id]) => [label, slugs.get(id)!]))
}

/**
 * A different slug for each of the ids. An id that needs no shortening keeps its slug; others get a number behind it.
 */
export function slugsOf(ids: readonly string[]): ReadonlyMap<string, string> {
  const isWhole = (id: string): boolean => slug(id) === id.replaceAll('-', '_')
  const slugs = new Map(ids.filter(isWhole).map((id) => [id, slug(id)]))
  const taken = new Set(slugs.values())
  for (const id of ids) {
    if (slugs.has(id)) continue
    let unique = slug(id)
    for (let number = 2; taken.has(unique); number++) unique = `${slug(id)}_${number}`
    taken.add(unique)
    slugs.set(id, unique)
  }
  return slugs
}
