/** The commands that teach: rows of the table in commands.ts. */
import { z } from 'zod'
import { stateFault } from '../../teach/names.js'
import { GapcamError } from '../../errors.js'
import type { BarePayload } from '../../publish/request.js'
import { placeOf } from '../zones/names.js'
import { commandDeadline } from '../commands/pictures.js'
import { available, Refusal } from '../commands/refusal.js'
import type { Teaching } from './teaching.js'

type Fields = Readonly<Record<string, unknown>>

/** What teaches on a node. */
export type TeachingTarget = Pick<
  Teaching,
  'capture' | 'select' | 'add' | 'addReviewed' | 'edit' | 'undo' | 'fit' | 'settled' | 'status'
>

/** What the commands act on. */
export interface Context {
  readonly target: { readonly teaching?: TeachingTarget | undefined }
}

/** Most pictures of one command. */
const mostAtOnce = 20

const namedState = z
  .string()
  .max(400)
  .refine((text) => stateFault(text) === null, { error: ({ input }) => stateFault(String(input)) ?? 'is no state' })
const state = namedState.nullable()
const picture = z.string().regex(/^[0-9a-f]{24}$/, 'must be the id of a picture')
const data = z
  .string()
  .max(24 << 20)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'must be a picture in base64')

function row<Shape extends z.ZodRawShape>(given: {
  readonly fields: Shape
  readonly takes: string
  readonly does: string
  readonly perform: (teaching: TeachingTarget, fields: z.output<z.ZodObject<Shape>>, zone: string) => Promise<Fields>
}) {
  const { perform, ...rest } = given
  return {
    ...rest,
    zone: 'any' as const,
    bare: 'camera' as BarePayload,
    async perform({ target }: Context, fields: never, zone: string): Promise<Fields> {
      const teaching = available(target.teaching)
      const own = await perform(teaching, fields, zone).catch(asRefusal)
      return { ...placeOf(zone), ...own, ...(await summaryOf(teaching, zone)) }
    },
  }
}

/** A state or a picture that cannot be taught is the sender's mistake. */
function asRefusal(error: unknown): never {
  const isMistake = error instanceof GapcamError && (error.code === 'USAGE' || error.code === 'PICTURE_INVALID')
  throw isMistake ? new Refusal('invalid', error.message) : error
}

/** How far the zone is, short enough for a message. */
async function summaryOf(teaching: TeachingTarget, zone: string): Promise<Fields> {
  const { head, states, isServing, isFitting, fault, report } = await teaching.status(zone)
  return {
    head,
    pictures: Object.fromEntries(states.map(({ state: name, pictures }) => [name, pictures])),
    serving: isServing,
    fitting: isFitting,
    ...(report ? { accuracy: report.accuracy, enough: report.enough, advice: report.advice } : {}),
    ...(fault === null ? {} : { fault }),
  }
}

/** Rows of the command table. `state` null: the picture shows none of the states. */
export const teachCommands = {
  teach: row({
    fields: { state: state.optional() },
    takes: '`camera`, `zone`, `state`',
    does: '[teaches](teach.md) a zone: its present picture shows `state` (null: none of the states); default the one that `teach_state` chose',
    perform: async (teaching, fields, zone) => ({
      picture: await teaching.capture(zone, fields.state, commandDeadline()),
    }),
  }),
  teach_state: row({
    fields: { value: z.string().max(400) },
    takes: '`camera`, `zone`, `value`',
    does: 'chooses the state that `teach` without a state teaches; `none`: none of the states',
    async perform(teaching, { value }, zone) {
      await teaching.select(zone, value)
      return { value }
    },
  }),
  teach_add: row({
    fields: {
      state,
      pictures: z
        .array(z.strictObject({ data, atMs: z.number().nullable().default(null) }))
        .min(1)
        .max(mostAtOnce),
    },
    takes: '`camera`, `zone`, `state`, `pictures`',
    does: 'teaches pictures in base64, each as `{ data, atMs }`; for the page, since commands on MQTT are short',
    perform: async (teaching, { state: shown, pictures }, zone) => ({
      added: await teaching.add(
        zone,
        shown,
        pictures.map(({ data: text, atMs }) => ({ bytes: Buffer.from(text, 'base64'), atMs })),
      ),
    }),
  }),
  teach_reviewed: row({
    fields: { pictures: z.array(z.string().max(64)).min(1).max(400).optional() },
    takes: '`camera`, `zone`, `pictures`',
    does: 'teaches pictures that have a label in the [review](review.md): those of these names, else all of the zone',
    perform: async (teaching, { pictures }, zone) => ({ ...(await teaching.addReviewed(zone, pictures)) }),
  }),
  teach_move: row({
    fields: { picture, state },
    takes: '`camera`, `zone`, `picture`, `state`',
    does: 'puts a taught picture under another state',
    async perform(teaching, fields, zone) {
      await teaching.edit(zone, (head) => head.move(fields.picture, fields.state))
      return { picture: fields.picture }
    },
  }),
  teach_remove: row({
    fields: { picture },
    takes: '`camera`, `zone`, `picture`',
    does: 'removes a taught picture',
    async perform(teaching, fields, zone) {
      await teaching.edit(zone, (head) => head.remove(fields.picture))
      return { picture: fields.picture }
    },
  }),
  teach_rename_state: row({
    fields: { state: namedState, to: namedState },
    takes: '`camera`, `zone`, `state`, `to`',
    does: 'gives a taught state another name; the name of another state joins both',
    async perform(teaching, fields, zone) {
      await teaching.edit(zone, (head) => head.rename(fields.state, fields.to), fields.state)
      return {}
    },
  }),
  teach_remove_state: row({
    fields: { state: namedState },
    takes: '`camera`, `zone`, `state`',
    does: 'removes a taught state with its pictures; `teach_undo` brings it back',
    async perform(teaching, fields, zone) {
      await teaching.edit(zone, (head) => head.removeState(fields.state), fields.state)
      return {}
    },
  }),
  teach_undo: row({
    fields: {},
    takes: '`camera`, `zone`',
    does: 'takes the last change of what was taught back: the head before serves',
    async perform(teaching, _, zone) {
      await teaching.undo(zone)
      return {}
    },
  }),
  teach_fit: row({
    fields: { head: z.string().max(64).optional() },
    takes: '`camera`, `zone`, `head`',
    does: 'fits the pictures of a zone again, or lets the taught head of that name answer for it',
    async perform(teaching, { head }, zone) {
      await teaching.fit(zone, head)
      return {}
    },
  }),
}
