/** From the configuration to a connection: files are read, and what cannot be is said before anything starts. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config/schema.js'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'
import type { ConnectOptions, Credentials } from '../publish/mqtt.js'
import { readSecret } from '../secrets.js'

/** Where the broker is and how to get in; null for `none` and for the embedded one, which has its own address. */
export function connectionOf({ mqtt }: Config): ConnectOptions | null {
  if (mqtt.broker === 'none') return null
  const renew = (): Credentials => credentialsOf(mqtt)
  return { url: mqtt.broker, keepaliveSeconds: mqtt.keepaliveS, retain: mqtt.retain, ...renew(), renew }
}

/** As the files are now. Throws CONFIG_INVALID for one that cannot be read, and for certificate and key that are no pair. */
function credentialsOf(mqtt: Config['mqtt']): Credentials {
  const password = mqtt.passwordFile === undefined ? mqtt.password : contentOf(mqtt.passwordFile, readSecret)
  const text = (path: string): string => contentOf(path, (file) => readFileSync(file, 'utf8'))
  const pair = { ...(mqtt.cert ? { cert: text(mqtt.cert) } : {}), ...(mqtt.key ? { key: text(mqtt.key) } : {}) }
  usable([mqtt.cert, mqtt.key], () => createSecureContext(pair))
  const ca = mqtt.ca ? text(mqtt.ca) : undefined
  if (ca !== undefined) usable([mqtt.ca], () => new X509Certificate(ca))
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...pair,
    ...(mqtt.servername ? { servername: mqtt.servername } : {}),
    ...(mqtt.insecure ? { insecure: true } : {}),
  }
  return {
    ...(mqtt.username === undefined ? {} : { user: mqtt.username }),
    ...(password === undefined ? {} : { password }),
    ...(Object.keys(tls).length > 0 ? { tls } : {}),
  }
}

/** Throws CONFIG_INVALID in words where OpenSSL does not take what the files hold: it would say so at every connection, in numbers. */
function usable(paths: readonly (string | undefined)[], take: () => unknown): void {
  try {
    take()
  } catch (error) {
    const why = messageOf(error).replace(/^error:[0-9A-F]+:[^:]*:[^:]*:/, '')
    throw new GapcamError(
      'CONFIG_INVALID',
      `mqtt: ${paths.filter((path) => path !== undefined).join(' with ')} cannot be used: ${why}`,
    )
  }
}

/** The content of a file. An empty file is an error: it is probably just being written. */
function contentOf(path: string, read: (path: string) => string): string {
  let content: string
  try {
    content = read(path)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `mqtt: ${path} cannot be read: ${fileFaultOf(error)}`, {
      hint: 'Check the path and the permissions of the file.',
    })
  }
  if (content === '') throw new GapcamError('CONFIG_INVALID', `mqtt: ${path} is empty`)
  return content
}

/** The broker that another process of this configuration uses: an embedded one listens on loopback. Throws where there is none. */
export function otherConnection(config: Config): ConnectOptions {
  if (config.mqtt.broker === 'embedded')
    return { url: `mqtt://127.0.0.1:${config.mqtt.port ?? 1883}`, protocol: '3.1.1' }
  const found = connectionOf(config)
  if (!found)
    throw new GapcamError('CONFIG_INVALID', 'mqtt.broker is none: there is no broker to speak to', {
      hint: 'Give one with --broker.',
    })
  return found
}
