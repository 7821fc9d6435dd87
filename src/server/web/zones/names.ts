/** Names of zones in topics, from names that people give. */

/** A name in topics for a zone: of a-z, 0-9 and -, other than those of `taken`. */
export function freeId(name: string, taken: readonly { readonly id: string }[]): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, longest)
  const first = plain || 'zone'
  for (let n = 1; ; n++) {
    const id = n === 1 ? first : `${first}-${n}`
    if (!taken.some((zone) => zone.id === id)) return id
  }
}

/** Leaves room for a number. */
const longest = 58
