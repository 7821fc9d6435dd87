/** A list whose items may be missing for a moment, such as a zone while its model is replaced: it stays in the list meanwhile. */
const keptMs = 5000

export class Steady<T extends { readonly key: string }> {
  /** In the order in which they came. */
  readonly #items = new Map<string, { readonly item: T; readonly atMs: number }>()

  /** The items as they are now, and those that were there shortly before. */
  update(items: readonly T[], nowMs = performance.now()): readonly T[] {
    for (const item of items) this.#items.set(item.key, { item, atMs: nowMs })
    for (const [key, { atMs }] of this.#items) if (nowMs - atMs > keptMs) this.#items.delete(key)
    return [...this.#items.values()].map(({ item }) => item)
  }
}
