/**
 * The HTTP server of the page and its API (fastify): access control, validation, rate limits and static files around the
 * routes. It listens on loopback, or on another address with a token. Clients cannot slow down the frames.
 */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import rateLimit from '@fastify/rate-limit'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { z } from 'zod'
import { errorTable, GapcamError, messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import { createGuard, securityHeaders, socketProtocol, type Guard } from './guard.js'
import { openApi } from './openapi.js'
import { ApiError, type Binary, type Route } from './route.js'
import type { LiveSockets } from './socket.js'

export interface ServerOptions {
  readonly host: string
  /** Exactly this port; default: the first free one from 8080 on. */
  readonly port?: number | undefined
  /** Null: no token is needed. */
  readonly token: string | null
  readonly version: string
  readonly routes: readonly Route[]
  readonly sockets: LiveSockets
  readonly log: Pick<Logger, 'error'>
}

export interface Server {
  /** With the actual port. */
  readonly url: string
  /** Disconnects all clients. */
  close(): Promise<void>
}

const defaultPort = 8080
const portsToTry = 64
const bodyBytes = 16 << 10
const socketBytes = 1 << 10
/** Time limit of a request that waits for a frame. */
const handleMs = 15_000
/** Requests of one client within a time window in milliseconds. */
const limits = { read: { max: 300, timeWindow: 10_000 }, write: { max: 40, timeWindow: 10_000 } }

/** The page's files by path. No other file is served, so no path can lead out of the folder. */
const pageFiles: Readonly<Record<string, readonly [file: string, media: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
}

/**
 * Starts to listen. Rejects with PORT_IN_USE for an address that cannot be used now.
 *
 *     const server = await startServer({ host: '127.0.0.1', token: null, version, routes, sockets, log })
 *     await server.close()
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytes,
    forceCloseConnections: true,
    connectionTimeout: 30_000,
    requestTimeout: 20_000,
    keepAliveTimeout: 10_000,
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: false },
  })
  const guard = createGuard(options)
  protect(app, guard, options.log)
  await app.register(rateLimit, {
    ...limits.read,
    errorResponseBuilder: (_, { after }) => new ApiError(429, 'TOO_MANY', `too many requests; try again in ${after}`),
  })
  await app.register(websocket, {
    options: {
      maxPayload: socketBytes,
      handleProtocols: (offered: Set<string>) => (offered.has(socketProtocol) ? socketProtocol : false),
    },
  })
  addRoutes(app, options)
  try {
    await listen(app, options)
  } catch (error) {
    await app.close()
    throw error
  }
  const address = app.server.address() as AddressInfo
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return {
    url: `http://${host}:${address.port}`,
    async close() {
      options.sockets.close()
      await app.close()
    },
  }
}

/** Installs access control, validation and the answers to errors. */
function protect(app: FastifyInstance, guard: Guard, log: ServerOptions['log']): void {
  app.addHook('onRequest', async (request, reply) => {
    const { method, headers } = request
    const path = request.url.split('?')[0]!
    reply.headers(securityHeaders(/^[\w.[\]:-]+$/.test(headers.host ?? '') ? headers.host! : 'invalid'))
    const isSocket = path === '/api/live' && headers.upgrade !== undefined
    const refusal = guard.refusal({ method, headers, isPublic: method === 'GET' && path in pageFiles, isSocket })
    if (refusal) throw new ApiError(refusal.status, refusal.code, refusal.message, refusal.hint)
  })
  // Only JSON bodies: a form of another page cannot send JSON without a preflight request, which is refused.
  app.removeContentTypeParser(['text/plain'])
  app.setValidatorCompiler<z.ZodType>(({ schema }) => (data) => {
    const { success, data: value, error } = schema.safeParse(data ?? {})
    return success ? { value } : { error: new ApiError(400, 'REQUEST_INVALID', sentenceOf(error)) }
  })
  app.setErrorHandler((error, { url }, reply) => {
    if (faultOf(error).status === 500)
      log.error({ url }, `page: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    fail(reply, error)
  })
  app.setNotFoundHandler((_request, reply) => {
    fail(reply, new ApiError(404, 'NOT_FOUND', 'there is nothing here', '/api/openapi.json lists all addresses.'))
  })
}

function sentenceOf({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join('.') || 'the request'}: ${issue?.message ?? 'is not valid'}`
}

function fail(reply: FastifyReply, error: unknown): void {
  const { status, code, hint } = faultOf(error)
  // An unexpected error may hold paths or secrets: clients get no details of it.
  const message = status === 500 ? 'internal error; the log of gapcam has the details' : messageOf(error)
  void reply.code(status).send({ error: { code, message, hint } })
}

/** What a visitor can do. The general hint of a wrong command line helps only there. */
function hintOf({ code, hint }: GapcamError): string {
  return code === 'USAGE' && hint === errorTable.USAGE.hint ? '' : hint
}

function faultOf(error: unknown): { status: number; code: string; hint: string } {
  if (error instanceof ApiError) return error
  if (error instanceof GapcamError)
    return { status: error.exitStatus === 2 ? 400 : 503, code: error.code, hint: hintOf(error) }
  const { statusCode, name } = error as { statusCode?: number; name?: string }
  if (name === 'AbortError' || name === 'TimeoutError')
    return { status: 503, code: 'NO_FRAME', hint: 'The camera delivers no frames: run gapcam doctor.' }
  return typeof statusCode === 'number' && statusCode < 500
    ? { status: statusCode, code: 'REQUEST_INVALID', hint: '' }
    : { status: 500, code: 'INTERNAL', hint: '' }
}

function addRoutes(app: FastifyInstance, { routes, sockets, version }: ServerOptions): void {
  for (const { method, url, params, query, body, handle, bodyBytes: own } of routes) {
    app.route({
      method,
      url,
      schema: { ...(params ? { params } : {}), ...(query ? { querystring: query } : {}), ...(body ? { body } : {}) },
      config: { rateLimit: method === 'GET' ? limits.read : limits.write },
      ...(own === undefined ? {} : { bodyLimit: own }),
      async handler(request, reply) {
        const signal = AbortSignal.any([goneSignal(reply), AbortSignal.timeout(handleMs)])
        return send(reply, await handle({ params: request.params, query: request.query, body: request.body, signal }))
      },
    })
  }
  const document = JSON.stringify(openApi(routes, version), null, 1)
  app.get('/api/openapi.json', (_request, reply) => reply.type('application/json').send(document))
  app.get('/api/live', { websocket: true }, (socket) => {
    sockets.add(socket)
  })
  for (const [path, [file, media]] of Object.entries(pageFiles)) {
    const bytes = pageFile(file)
    app.get(path, { config: { rateLimit: false } }, (_request, reply) => {
      if (!bytes)
        throw new ApiError(
          404,
          'PAGE_NOT_BUILT',
          'the page is not built',
          'Run npm run build. The API works without it.',
        )
      return reply.type(media).send(bytes)
    })
  }
}

function pageFile(name: string): Buffer | null {
  try {
    return readFileSync(join(fileURLToPath(new URL('web/', import.meta.url)), name))
  } catch {
    return null
  }
}

/** Aborts when the client disconnects. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}

function send(reply: FastifyReply, answer: unknown): FastifyReply {
  if (!isBinary(answer)) return reply.type('application/json; charset=utf-8').send(JSON.stringify(answer ?? {}))
  const { media, bytes, fileName } = answer
  return (fileName ? reply.header('content-disposition', `inline; filename="${fileName}"`) : reply)
    .type(media)
    .send(bytes)
}

function isBinary(answer: unknown): answer is Binary {
  return typeof answer === 'object' && answer !== null && 'media' in answer && 'bytes' in answer
}

/** Listens on `port`, or without one on the first free port from 8080 on. */
async function listen(app: FastifyInstance, { host, port }: ServerOptions): Promise<void> {
  for (let candidate = port ?? defaultPort; ; candidate++) {
    try {
      await app.listen({ host, port: candidate, exclusive: true })
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const isTaken = code === 'EADDRINUSE' || code === 'EACCES'
      if (port === undefined && isTaken && candidate + 1 < defaultPort + portsToTry) continue
      const why =
        code === 'EADDRINUSE'
          ? `port ${candidate} is in use on ${host}`
          : `cannot listen on ${host}:${candidate}: ${messageOf(error)}`
      // Not CONFIG_INVALID, which stops a service for good: the port may become free, and the address may appear.
      throw new GapcamError('PORT_IN_USE', `page: ${why}`, {
        cause: error,
        hint: 'Choose another page.port or page.host, or set page.enabled to false.',
      })
    }
  }
}
