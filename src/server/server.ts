/**
 * The local page and its API: fastify on loopback, or elsewhere with a token. It reads the run through its observer and
 * its pictures on demand, and is in nobody's way: no visitor's fault, slowness or number reaches a frame.
 */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import rateLimit from '@fastify/rate-limit'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { z } from 'zod'
import { GapcamError, messageOf } from '../errors.js'
import type { Logger } from '../log.js'
import { createGuard, securityHeaders, socketProtocol, type Guard } from './guard.js'
import { openApi } from './openapi.js'
import { ApiError, type Binary, type Route } from './route.js'
import type { LiveSockets } from './socket.js'

export interface ServerOptions {
  readonly host: string
  /** This port and no other; default 8080, or the next one that is free. */
  readonly port?: number
  readonly token: string | null
  readonly version: string
  readonly routes: readonly Route[]
  readonly sockets: LiveSockets
  readonly log: Pick<Logger, 'error'>
}

export interface Server {
  readonly url: string
  close(): Promise<void>
}

const usualPort = 8080
const portsToTry = 64
const bodyBytes = 16 << 10
const socketBytes = 1 << 10
/** A request that waits for a frame gives up after this. */
const handleMs = 15_000
const limits = { read: { max: 300, timeWindow: 10_000 }, write: { max: 40, timeWindow: 10_000 } }

/** The page's files by path: what is not in this table is not there, so no path leads anywhere else. */
const pageFiles: Readonly<Record<string, readonly [file: string, media: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
}

/** Listens. Rejects with PORT_IN_USE for an address that cannot be had now. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytes,
    forceCloseConnections: true,
    connectionTimeout: 30_000,
    requestTimeout: 20_000,
    keepAliveTimeout: 10_000,
    routerOptions: { maxParamLength: 128, ignoreTrailingSlash: false },
  })
  const guard = createGuard(options)
  protect(app, guard, options.log)
  await app.register(rateLimit, {
    ...limits.read,
    errorResponseBuilder: (_, { after }) => new ApiError(429, 'TOO_MANY', `too many requests; again in ${after}`),
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

function protect(app: FastifyInstance, guard: Guard, log: ServerOptions['log']): void {
  app.addHook('onRequest', async (request, reply) => {
    const { method, headers } = request
    const path = request.url.split('?')[0]!
    reply.headers(securityHeaders(/^[\w.[\]:-]+$/.test(headers.host ?? '') ? headers.host! : 'invalid'))
    const isSocket = path === '/api/live' && headers.upgrade !== undefined
    const refusal = guard.refusal({ method, headers, isPublic: method === 'GET' && path in pageFiles, isSocket })
    if (refusal) throw new ApiError(refusal.status, refusal.code, refusal.message, refusal.hint)
  })
  // JSON and nothing else: a form of another page cannot send it without asking first.
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
    fail(reply, new ApiError(404, 'NOT_FOUND', 'there is nothing here'))
  })
}

function sentenceOf({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join('.') || 'the request'}: ${issue?.message ?? 'is not valid'}`
}

function fail(reply: FastifyReply, error: unknown): void {
  const { status, code, hint } = faultOf(error)
  // What we did not foresee is said without its inside.
  const message = status === 500 ? 'something went wrong inside; the log says what' : messageOf(error)
  void reply.code(status).send({ error: { code, message, hint } })
}

function faultOf(error: unknown): { status: number; code: string; hint: string } {
  if (error instanceof ApiError) return error
  if (error instanceof GapcamError)
    return { status: error.exitStatus === 2 ? 400 : 503, code: error.code, hint: error.hint }
  const { statusCode, name } = error as { statusCode?: number; name?: string }
  if (name === 'AbortError' || name === 'TimeoutError')
    return { status: 503, code: 'NO_FRAME', hint: 'The camera delivers no frames; see gapcam doctor.' }
  return typeof statusCode === 'number' && statusCode < 500
    ? { status: statusCode, code: 'REQUEST_INVALID', hint: '' }
    : { status: 500, code: 'INTERNAL', hint: '' }
}

function addRoutes(app: FastifyInstance, { routes, sockets, version }: ServerOptions): void {
  for (const { method, url, params, query, body, handle } of routes) {
    app.route({
      method,
      url,
      schema: { ...(params ? { params } : {}), ...(query ? { querystring: query } : {}), ...(body ? { body } : {}) },
      config: { rateLimit: method === 'GET' ? limits.read : limits.write },
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
          'npm run build builds it; the API works without it.',
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

async function listen(app: FastifyInstance, { host, port }: ServerOptions): Promise<void> {
  for (let candidate = port ?? usualPort; ; candidate++) {
    try {
      await app.listen({ host, port: candidate, exclusive: true })
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const mayGoOn =
        port === undefined && (code === 'EADDRINUSE' || code === 'EACCES') && candidate + 1 < usualPort + portsToTry
      if (mayGoOn) continue
      const why =
        code === 'EADDRINUSE'
          ? `port ${candidate} is in use on ${host}`
          : `cannot listen on ${host}:${candidate}: ${messageOf(error)}`
      // No fault of the configuration, which nobody would start again: the port may be let go, the address may come.
      throw new GapcamError('PORT_IN_USE', `page: ${why}`, {
        cause: error,
        hint: 'Choose another page.port or page.host, or set page.enabled to false.',
      })
    }
  }
}
