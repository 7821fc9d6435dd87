/**
 * A route of the API as data: method, address and schemas of request and reply. Validation (server.ts) and the OpenAPI
 * document (openapi.ts) both come from these schemas.
 */
import type { z } from 'zod'
import type { Commands } from '../run/commands/commands.js'

/** An answer that is not JSON. */
export interface Binary {
  readonly media: string
  readonly bytes: Buffer | string
  /** The name under which a browser saves it. */
  readonly fileName?: string
}

/** A request after validation. */
export interface RouteRequest<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  /** Aborts when the client disconnects, or after the time limit of requests. */
  readonly signal: AbortSignal
}

/** A route with its types erased; `route` makes it. */
export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Parameters are written as `:name`. */
  readonly url: string
  readonly summary: string
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** Limit of the body; default 16 KiB. */
  readonly bodyBytes?: number
  /** The schema of a JSON reply, or the media type of another one. */
  readonly reply: z.ZodType | { readonly media: string; readonly description: string }
  handle(request: RouteRequest<unknown, unknown, unknown>): unknown
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

/**
 * Makes a route whose handler gets the types of its schemas.
 *
 *     route({ method: 'GET', url: '/api/state', summary: 'The current state', reply: liveState,
 *       handle: () => observer.state() })
 */
export function route<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(definition: {
  method: Route['method']
  url: string
  summary: string
  params?: P
  query?: Q
  body?: B
  bodyBytes?: number
  reply: Route['reply']
  handle: (request: RouteRequest<Parsed<P>, Parsed<Q>, Parsed<B>>) => unknown
}): Route {
  return definition as unknown as Route
}

/** An error of a request: it becomes an answer with this status, code, message and hint. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string

  constructor(status: number, code: string, message: string, hint = '') {
    super(message)
    this.status = status
    this.code = code
    this.hint = hint
  }
}

/** Executes a command for a visitor, and gives its answer. Throws ApiError where it is refused. */
export async function commandData(
  commands: Pick<Commands, 'execute'>,
  command: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const result = await commands.execute(command, 'page')
  if (result.status === 'ok') return result.data
  const status = { invalid: 400, not_available: 501, busy: 503, failed: 500 }[result.code]
  throw new ApiError(status, result.code.toUpperCase(), result.error)
}
