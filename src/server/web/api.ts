/** Requests to the API, with the token where there is one. */
const key = 'gapcam-token'

/** The token: from the address (#token=…, taken off it at once), else what was typed in this tab. */
export function readToken(): string | null {
  const [, given] = /(?:^#|&)token=([^&]+)/.exec(location.hash) ?? []
  if (given !== undefined) {
    keepToken(decodeURIComponent(given))
    history.replaceState(null, '', location.pathname)
  }
  return sessionStorage.getItem(key)
}

export function keepToken(token: string): void {
  sessionStorage.setItem(key, token)
}

export class RequestError extends Error {
  readonly status: number
  readonly hint: string

  constructor(status: number, message: string, hint: string) {
    super(message)
    this.status = status
    this.hint = hint
  }
}

export async function request(method: string, path: string, body?: unknown): Promise<Response> {
  const token = readToken()
  const response = await fetch(path, {
    method,
    headers: {
      'x-gapcam': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (response.ok) return response
  const { error } = (await response.json().catch(() => ({}))) as { error?: { message: string; hint: string } }
  throw new RequestError(response.status, error?.message ?? response.statusText, error?.hint ?? '')
}

export async function getJson<T>(path: string): Promise<T> {
  return (await (await request('GET', path)).json()) as T
}

export async function send<T>(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  return (await (await request(method, path, body)).json()) as T
}
