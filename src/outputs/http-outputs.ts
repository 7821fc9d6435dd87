/** The outputs over HTTP that the configuration names: how the request of an event is made. */
import { systemClock } from '../clock.js'
import type { Config } from '../config/schema.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import type { Logger } from '../log.js'
import { readSecret } from '../secrets.js'
import { eventFieldNames } from './fields.js'
import type { HttpRequest } from './http.js'
import { acceptPoint, checkPointTemplate, influxRequest, pointOf, type LineEvent } from './influx.js'
import { openMapping } from './mapping.js'
import type { Fields } from './template.js'
import { webhookRequest } from './webhook.js'

/** An output over HTTP as the configuration names it. */
interface HttpOutputParts {
  readonly name: string
  readonly timeoutS: number
  readonly faults: () => number
  readonly request: (fields: LineEvent & Fields) => HttpRequest
}

/** Throws CONFIG_INVALID for a file of a secret or a template that cannot be used now. */
export function httpOutputs({ webhook, influx }: Config, log: Pick<Logger, 'info' | 'warn'>): HttpOutputParts[] {
  const made: HttpOutputParts[] = []
  if (webhook.url !== '') {
    const secret = secretOf('webhook.secretFile', webhook.secretFile)
    const body = openMapping({
      ...{ key: 'webhook.templateFile', file: webhook.templateFile, names: eventFieldNames, log },
      accept: (value) => JSON.stringify(value),
      plain: (fields) => JSON.stringify(fields),
    })
    const request = (fields: LineEvent & Fields): HttpRequest =>
      webhookRequest(webhook.url, body(fields), {
        ...{ id: `${fields.boot}-${fields.seq}`, secret: secret(), wallMs: systemClock.wall() },
      })
    made.push({ name: 'webhook', timeoutS: webhook.timeoutS, faults: body.faults, request })
  }
  if (influx.url !== '') {
    const token = secretOf('influx.tokenFile', influx.tokenFile)
    const point = openMapping({
      ...{ key: 'influx.templateFile', file: influx.templateFile, names: eventFieldNames, log },
      ...{ check: checkPointTemplate, accept: acceptPoint, plain: (fields) => pointOf(fields as LineEvent & Fields) },
    })
    const request = (fields: LineEvent & Fields): HttpRequest =>
      influxRequest(influx, token(), point(fields), { wallMs: Date.parse(fields.ts), seq: fields.seq })
    made.push({ name: 'influx', timeoutS: influx.timeoutS, faults: point.faults, request })
  }
  return made
}

/** Reads a secret's file now, so that a wrong one is an error at the start, and again each time it is asked for. */
function secretOf(key: string, file: string | undefined): () => string | undefined {
  const read = (): string | undefined => (file === undefined ? undefined : readFile(key, file))
  read()
  return read
}

function readFile(key: string, file: string): string {
  try {
    return readSecret(file)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `${key}: ${file} cannot be read: ${fileFaultOf(error)}`)
  }
}
