/** The request of a webhook: the event as JSON, with a signature that its receiver can check. */
import { createHmac } from 'node:crypto'
import type { HttpRequest } from './http.js'

/**
 * `id` is the same for every attempt at one event, so that a receiver can drop repetitions. The signature covers the time too:
 * `X-Gapcam-Signature: sha256=HMAC(secret, "<X-Gapcam-Timestamp>.<body>")` in hexadecimal.
 */
export function webhookRequest(
  url: string,
  body: string,
  { id, secret, wallMs }: { readonly id: string; readonly secret: string | undefined; readonly wallMs: number },
): HttpRequest {
  const timestamp = String(Math.floor(wallMs / 1000))
  const signature =
    secret === undefined ? null : createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
  return {
    url,
    body,
    headers: {
      'content-type': 'application/json',
      'x-gapcam-id': id,
      'x-gapcam-timestamp': timestamp,
      ...(signature === null ? {} : { 'x-gapcam-signature': `sha256=${signature}` }),
    },
  }
}
