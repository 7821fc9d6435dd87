/** A route of the API as data: what it takes and gives as schemas, from which validation and OpenAPI both come. */
import type { z } from 'zod'

/** An answer that is not JSON. */
export interface Binary {
  readonly media: string
  readonly bytes: Buffer | string
  /** A name under which a browser saves it. */
  readonly fileName?: string
}

export interface RouteRequest<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  /** Aborts when the visitor has gone or waited too long. */
  readonly signal: AbortSignal
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** With `:name` for parameters. */
  readonly url: string
  readonly summary: string
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  /** A schema of JSON, or what else comes. */
  readonly reply: z.ZodType | { readonly media: string; readonly description: string }
  handle(request: RouteRequest<unknown, unknown, unknown>): unknown
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

/** A route whose handler has the types of its schemas. */
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
  reply: Route['reply']
  handle: (request: RouteRequest<Parsed<P>, Parsed<Q>, Parsed<B>>) => unknown
}): Route {
  return definition as unknown as Route
}

/** What a visitor asked wrongly, or what is not there: becomes an answer with this status. */
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
