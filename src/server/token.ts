/** The token of the page, from the configuration or from a file. It never appears in logs. */
import { isLoopback } from '../address/host.js'
import type { Config } from '../config/schema.js'
import { GapcamError, messageOf } from '../errors.js'
import { keepSecret, readSecret } from '../secrets.js'

const leastCharacters = 16

/** Null where no token is configured. Throws CONFIG_INVALID for an unusable token file, or an open address without token. */
export function pageToken({ host, token, tokenFile }: Config['page']): string | null {
  keepSecret(token)
  const found = tokenFile === undefined ? (token ?? null) : readTokenFile(tokenFile)
  if (found === null && !isLoopback(host))
    throw new GapcamError(
      'CONFIG_INVALID',
      `page.host: ${host} is reachable from other machines, but no token is set`,
      {
        hint: 'Set page.tokenFile (at least 16 characters), or keep page.host at 127.0.0.1 and use an SSH tunnel.',
      },
    )
  return found
}

function readTokenFile(path: string): string {
  try {
    const text = readSecret(path).trim()
    if (text.length < leastCharacters) throw new Error(`it holds fewer than ${leastCharacters} characters`)
    return text
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `page.tokenFile: ${path} cannot be used: ${messageOf(error)}`, {
      hint: `Write a token of at least ${leastCharacters} characters into the file, for example with openssl rand -hex 16.`,
    })
  }
}
