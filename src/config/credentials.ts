/**
 * Secrets of a configuration: a file that the service manager or a container hands over stands for the one that the
 * configuration names; what is read here, and what stands in URLs, is never shown again.
 */
import { GapcamError, messageOf } from '../errors.js'
import { credentialFile, keepSecret, keepSecretsOf, openToAll, readSecret } from '../secrets.js'
import type { CameraConfig, Config } from './schema.js'

export interface WithSecrets {
  readonly config: Config
  /** Keys whose value a service manager or container gave. */
  readonly given: readonly string[]
  /** What is open to all users of this machine, a sentence each. */
  readonly warnings: readonly string[]
}

/** The keys that name a secret's file, and the name under which systemd (LoadCredential) or Docker (secrets) hands it over. */
export const credentialNames = {
  'mqtt.passwordFile': 'mqtt-password',
  'mqtt.key': 'mqtt-key',
  'page.tokenFile': 'page-token',
} as const
type SecretFileKey = keyof typeof credentialNames

export const cameraCredential = (camera: string): string => `camera-${camera}-password`

/** The files that a configuration names, by key. */
export function secretFiles({ mqtt, page }: Config): Readonly<Record<SecretFileKey, string | undefined>> {
  return { 'mqtt.passwordFile': mqtt.passwordFile, 'mqtt.key': mqtt.key, 'page.tokenFile': page.tokenFile }
}

/** Throws CONFIG_INVALID for a camera's password that cannot be read. */
export function withSecrets(config: Config, environment: NodeJS.ProcessEnv): WithSecrets {
  const { mqtt, page, cameras } = config
  for (const secret of [mqtt.password, page.token]) keepSecret(secret)
  for (const url of [mqtt.broker, ...cameras.map(({ source }) => source)]) keepSecretsOf(url)
  const named = secretFiles(config)
  // A secret that somebody wrote down wins over one that lies about.
  const isWritten: Readonly<Record<SecretFileKey, boolean>> = {
    'mqtt.passwordFile': mqtt.password !== undefined,
    'mqtt.key': false,
    'page.tokenFile': page.token !== undefined,
  }
  const keys = Object.keys(credentialNames) as SecretFileKey[]
  const given = Object.fromEntries(
    keys
      .filter((key) => !isWritten[key] || named[key] !== undefined)
      .flatMap((key) => {
        const file = credentialFile(credentialNames[key], environment)
        return file === null ? [] : [[key, file]]
      }),
  ) as Partial<Record<SecretFileKey, string>>
  for (const file of [given['mqtt.passwordFile'] ?? mqtt.passwordFile, given['page.tokenFile'] ?? page.tokenFile])
    if (file !== undefined) tryToKeep(file)
  const { 'mqtt.passwordFile': passwordFile, 'mqtt.key': key, 'page.tokenFile': tokenFile } = given
  const own = [
    ...keys.filter((name) => given[name] === undefined).map((name) => named[name]),
    ...cameras.map((camera) => camera.passwordFile),
  ]
  return {
    config: {
      ...config,
      cameras: cameras.map((camera) =>
        withPassword(camera, credentialFile(cameraCredential(camera.id), environment) ?? camera.passwordFile),
      ),
      mqtt: { ...mqtt, ...(passwordFile === undefined ? {} : { passwordFile }), ...(key === undefined ? {} : { key }) },
      page: { ...page, ...(tokenFile === undefined ? {} : { tokenFile }) },
    },
    given: Object.keys(given),
    warnings: own
      .flatMap((file) => (file === undefined ? [] : [openToAll(file)]))
      .filter((warning) => warning !== null),
  }
}

/** Who connects says what is wrong with the file; here its content is only to be kept secret. */
function tryToKeep(file: string): void {
  try {
    readSecret(file)
  } catch {
    // It cannot be read, so it cannot leak.
  }
}

/** Where a camera is opened again: its source with the password that the file holds now; as it was, where that cannot be read. */
export function sourceNow(camera: CameraConfig): string {
  try {
    return withPassword(camera, camera.passwordFile).source
  } catch {
    return camera.source
  }
}

/** The camera with its password in the URI, which is where its program wants it, in place of one that is there. */
function withPassword(camera: CameraConfig, file: string | undefined): CameraConfig {
  if (file === undefined) return camera
  let password: string
  try {
    password = readSecret(file)
  } catch (error) {
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${camera.id}: the password file ${file} cannot be read: ${messageOf(error)}`,
    )
  }
  const [, scheme, userInfo = '', rest] = /^([\w+.-]+:\/\/)(?:([^/?#\s]*)@)?(.*)$/.exec(camera.source) ?? []
  if (scheme === undefined)
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${camera.id} has a password, and ${camera.source} is no address that could take one`,
    )
  const user = camera.username === undefined ? userInfo.split(':')[0]! : encodeURIComponent(camera.username)
  return { ...camera, passwordFile: file, source: `${scheme}${user}:${encodeURIComponent(password)}@${rest}` }
}
