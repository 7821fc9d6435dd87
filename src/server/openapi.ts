/** The API as an OpenAPI 3.1 document, made from the schemas that validate its requests. */
import { z } from 'zod'
import { failure } from './messages.js'
import type { Route } from './route.js'

/** The document as plain data. `version` is the version of gapcam. */
export function openApi(routes: readonly Route[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'gapcam',
      version,
      description: 'The local page’s API. The live socket at /api/live is described in docs/page.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:8080' }],
    security: [{}, { token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'the configured page.token' },
      },
      schemas: { Failure: schemaOf(failure) },
    },
  }
}

function operation({ method, url, summary, params, query, body, reply }: Route): unknown {
  const media =
    'media' in reply
      ? { [reply.media]: { schema: { type: 'string', description: reply.description } } }
      : { 'application/json': { schema: schemaOf(reply) } }
  const write =
    method === 'GET'
      ? []
      : [
          {
            name: 'x-gapcam',
            in: 'header',
            required: false,
            schema: { type: 'string' },
            description: 'Any value. Required when no token is sent.',
          },
        ]
  const parameters = [...parametersOf(params, 'path'), ...parametersOf(query, 'query'), ...write]
  return {
    summary,
    operationId: `${method.toLowerCase()}${url.replace(/[/:.](\w)/g, (_, letter: string) => letter.toUpperCase()).replace(/\W/g, '')}`,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body) } } } } : {}),
    responses: {
      200: { description: 'done', content: media },
      default: {
        description: 'what happened, and what to do',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Failure' } } },
      },
    },
  }
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>
  readonly required?: readonly string[]
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): unknown[] {
  if (!schema) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as ObjectSchema
  return Object.entries(properties).map(([name, { description, ...own }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: own,
    ...(description ? { description } : {}),
  }))
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output' = 'output'): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>
  return rest
}
