/** What answers of commands consist of. */

/** Plain data, as JSON holds it. */
export type Fields = Readonly<Record<string, unknown>>
