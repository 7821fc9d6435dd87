/**
 * Stores events once each, and knows how far the events of a node are complete. Several collectors may use one database: what
 * one stores, all see.
 */
import type { Database, Query, Value } from './database.js'
import type { CollectedEvent, CollectedGap, Series } from './message.js'

export interface Batch {
  readonly events: readonly CollectedEvent[]
  readonly gaps: readonly CollectedGap[]
  /** What the nodes say of their numbers. A node that is not here is stored, and not counted through. */
  readonly series: ReadonlyMap<string, Series>
  /** Further nodes to count through: another collector may have stored the rest. */
  readonly nodes?: readonly string[] | undefined
}

export interface Saved {
  /** Events that were not there yet. */
  readonly added: number
  /** By node: the number up to which every event is stored, done, or in a recorded gap. */
  readonly through: ReadonlyMap<string, number>
}

/** Rows in one statement: SQLite takes 32,766 values at most, PostgreSQL 65,535. */
const rowsAtOnce = 200
/** Numbers that are looked at in one step. */
const stride = 2000

/** Stores a batch in one transaction. Rejects as `Database.transaction`; then nothing of the batch is stored. */
export function save(database: Database, batch: Batch, now = new Date()): Promise<Saved> {
  const at = now.toISOString()
  return database.transaction(async (query) => {
    // Sorted: two collectors that store the same rows wait for each other and never in a circle.
    const events = batch.events.toSorted((a, b) => compare(a.node, b.node) || compare(a.boot, b.boot) || a.seq - b.seq)
    const gaps = batch.gaps.toSorted((a, b) => compare(a.node, b.node) || compare(a.place, b.place) || a.from - b.from)
    const added = await insertEvents(query, events, at)
    for (const gap of gaps) await insertGap(query, gap, at)
    const nodes = new Set([...events.map(({ node }) => node), ...gaps.map(({ node }) => node), ...(batch.nodes ?? [])])
    const through = new Map<string, number>()
    for (const node of [...nodes].sort()) {
      const series = batch.series.get(node)
      if (series) through.set(node, await countThrough(query, database.dialect, node, series))
    }
    return { added, through }
  })
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

async function insertEvents(query: Query, events: readonly CollectedEvent[], at: string): Promise<number> {
  let added = 0
  for (let i = 0; i < events.length; i += rowsAtOnce) {
    const values = events
      .slice(i, i + rowsAtOnce)
      .map(({ node, boot, seq, place, type, ts, label, score, isBacklog, payload }): Value[] => [
        ...[node, boot, seq, place, type, ts, label, score],
        ...[isBacklog ? 1 : 0, payload, at],
      ])
    const rows = await query(
      `insert into gapcam_events (node, boot, seq, place, type, ts, label, score, is_backlog, payload, received_at)
       values ${places(values)} on conflict do nothing returning seq`,
      values.flat(),
    )
    added += rows.length
  }
  return added
}

function places(rows: readonly (readonly Value[])[]): string {
  let n = 0
  return rows.map((row) => `(${row.map(() => `$${++n}`).join(', ')})`).join(', ')
}

/** A gap that is sent again may have grown meanwhile. */
async function insertGap(
  query: Query,
  { node, place, from, to, missing, boot }: CollectedGap,
  at: string,
): Promise<void> {
  await query(
    `insert into gapcam_gaps (node, place, from_seq, to_seq, missing, boot, received_at)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (node, place, from_seq) do update set
       to_seq = case when excluded.missing >= gapcam_gaps.missing then excluded.to_seq else gapcam_gaps.to_seq end,
       missing = case when excluded.missing >= gapcam_gaps.missing then excluded.missing else gapcam_gaps.missing end,
       boot = excluded.boot`,
    [node, place, from, to, missing, boot, at],
  )
}

/**
 * The number up to which a node's events are complete, kept in gapcam_nodes so that it is counted once. An event counts for
 * its number only if the start that it names gave that number: after a loss of the state directory numbers begin at 1 again.
 */
async function countThrough(
  query: Query,
  dialect: Database['dialect'],
  node: string,
  { waitsFrom, boots }: Series,
): Promise<number> {
  const [newest] = boots.at(-1)!
  await query('insert into gapcam_nodes (node, boot, through) values ($1, $2, 0) on conflict do nothing', [
    node,
    newest,
  ])
  // The lock makes the commit of another collector visible: of two that store neighbours, the later one sees both.
  const lock = dialect === 'postgres' ? ' for update' : ''
  const [kept] = await query(`select boot, through from gapcam_nodes where node = $1${lock}`, [node])
  const known = boots.findIndex(([boot]) => boot === kept?.['boot'])
  const before = known < 0 ? 0 : Math.min(Number(kept!['through']), (boots[known + 1]?.[1] ?? Infinity) - 1)
  let through = Math.max(waitsFrom - 1, before)
  for (let reached = -1; reached !== through; ) {
    reached = through
    through = await walk(query, node, through, boots)
    if (through - reached < stride) through = await overGap(query, node, through, boots)
  }
  if (through !== before || kept?.['boot'] !== newest)
    await query('update gapcam_nodes set boot = $2, through = $3 where node = $1', [node, newest, through])
  return through
}

/** Follows stored events without a hole, at most a stride. */
async function walk(query: Query, node: string, from: number, boots: Series['boots']): Promise<number> {
  const rows = await query(
    'select seq, boot from gapcam_events where node = $1 and seq > $2 and seq <= $3 order by seq',
    [node, from, from + stride],
  )
  let through = from
  for (const { seq, boot } of rows) {
    if (Number(seq) > through + 1) break
    if (Number(seq) === through + 1 && gave(boots, String(boot), Number(seq))) through++
  }
  return through
}

/** Whether this start of the program gave this number; numbers before the first known start are any's. */
function gave(boots: Series['boots'], boot: string, seq: number): boolean {
  const giver = boots.findLast(([, from]) => from <= seq)
  return giver === undefined || giver[0] === boot
}

/**
 * The end of the gaps that overlap at the next number, where they explain all that is missing: in their span no more numbers
 * are absent than they say. Otherwise an event that was not lost is still on its way. Then the node's `waits_from` decides.
 */
async function overGap(query: Query, node: string, through: number, boots: Series['boots']): Promise<number> {
  const known = new Set(boots.map(([boot]) => boot))
  const rows = await query(
    'select from_seq, to_seq, missing, boot from gapcam_gaps where node = $1 and to_seq > $2 order by from_seq',
    [node, through],
  )
  let [from, to, missing] = [through + 1, through, 0]
  for (const gap of rows) {
    const [first, last] = [Number(gap['from_seq']), Number(gap['to_seq'])]
    if (!known.has(String(gap['boot']))) continue
    if (first > Math.max(to, through) + 1) break
    ;[from, to, missing] = [Math.min(from, first), Math.max(to, last), missing + Number(gap['missing'])]
  }
  if (to <= through) return through
  return to - from + 1 - (await storedBetween(query, node, from, to, boots)) <= missing ? to : through
}

/** How many numbers of a span are stored, each by the start that gave it. */
async function storedBetween(
  query: Query,
  node: string,
  from: number,
  to: number,
  boots: Series['boots'],
): Promise<number> {
  let stored = 0
  const spans = [[null, 1] as const, ...boots].map(([boot, first], i) => ({
    boot,
    from: Math.max(from, first),
    to: Math.min(to, (boots[i]?.[1] ?? Infinity) - 1),
  }))
  for (const span of spans.filter((each) => each.from <= each.to)) {
    const [row] = await query(
      `select count(distinct seq) as n from gapcam_events
       where node = $1 and seq >= $2 and seq <= $3${span.boot === null ? '' : ' and boot = $4'}`,
      [node, span.from, span.to, ...(span.boot === null ? [] : [span.boot])],
    )
    stored += Number(row?.['n'] ?? 0)
  }
  return stored
}
