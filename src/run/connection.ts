/** From the configuration to a broker connection. Files are read here, so a wrong one is an error before anything starts. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config/schema.js'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'
import type { ConnectOptions, Credentials } from '../publish/mqtt.js'
import { readSecret } from '../secrets.js'

/** Address and credentials of the broker; null for `none`. An embedded broker has its own address. */
export function connectionOf({ mqtt }: Config): ConnectOptions | null {
  if (mqtt.broker === 'none') return null
  const renew = (): Credentials => credentialsOf(mqtt)
  return { url: mqtt.broker, keepaliveSeconds: mqtt.keepaliveS, retain: mqtt.retain, ...renew(), renew }
}

/** The credentials in the files as they are now. Throws CONFIG_INVALID for a file that cannot be read, and for a certificate and a key that do not belong together. */
function credentialsOf(mqtt: Config['mqtt']): Credentials {
  const { username: user, servername, insecure } = mqtt
  const password = mqtt.passwordFile === undefined ? mqtt.password : contentOf(mqtt.passwordFile, readSecret)
  const text = (path: string | undefined): string | undefined =>
    path ? contentOf(path, (file) => readFileSync(file, 'utf8')) : undefined
  const [ca, cert, key] = [text(mqtt.ca), text(mqtt.cert), text(mqtt.key)]
  const missing =
    cert !== undefined && key === undefined ? 'key' : key !== undefined && cert === undefined ? 'cert' : null
  if (missing !== null)
    throw new GapcamError(
      'CONFIG_INVALID',
      `mqtt.${missing}: must be given; a client certificate needs its key, and a key its certificate`,
    )
  usable([mqtt.cert, mqtt.key], () => createSecureContext({ ...(cert ? { cert } : {}), ...(key ? { key } : {}) }))
  if (ca !== undefined) usable([mqtt.ca], () => new X509Certificate(ca))
  const hasTls = ca !== undefined || cert !== undefined || key !== undefined || !!servername || insecure
  const tls = { ca, cert, key, servername: servername || undefined, insecure: insecure || undefined }
  return { user, password, tls: hasTls ? tls : undefined }
}

/** Throws CONFIG_INVALID where OpenSSL refuses the content of the files. It would do so at every connection, with an error number. */
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

/** The broker that another process with this configuration uses; an embedded one listens on loopback. Throws CONFIG_INVALID for `none`. */
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
