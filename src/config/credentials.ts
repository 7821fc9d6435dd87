/**
 * Secrets of a configuration. A file that the service manager or a container provides replaces the one that the
 * configuration names. Every secret read here, and those in URLs, are registered so that no output shows them.
 */
import { parseCameraAddress, withCredentials } from '../camera-address.js'
import { GapcamError, messageOf } from '../errors.js'
import { credentialFile, keepSecret, keepSecretsOf, openToAll, readSecret } from '../secrets.js'
import type { CameraConfig, Config } from './schema.js'

/** A configuration with its secrets resolved. */
export interface WithSecrets {
  readonly config: Config
  /** Keys whose value comes from a service manager or container. */
  readonly given: readonly string[]
  /** One sentence for each secret file that every user of this machine can read. */
  readonly warnings: readonly string[]
}

/** The keys that name a secret's file, each with its name as a systemd credential (LoadCredential) or Docker secret. */
export const credentialNames = {
  'mqtt.passwordFile': 'mqtt-password',
  'mqtt.key': 'mqtt-key',
  'page.tokenFile': 'page-token',
} as const
type SecretFileKey = keyof typeof credentialNames

/** The credential's name for a camera's password. */
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
  // A secret written in the configuration wins over a provided file.
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

/** Registers the file's content as a secret. A file that cannot be read is reported later, where it is used. */
function tryToKeep(file: string): void {
  try {
    readSecret(file)
  } catch {
    // It cannot be read, so it cannot leak.
  }
}

/** The camera's source with the password that its file holds now; unchanged where the file cannot be read. Used at each reopening. */
export function sourceNow(camera: CameraConfig): string {
  try {
    return withPassword(camera, camera.passwordFile).source
  } catch {
    return camera.source
  }
}

/** The camera with the password of the file in its URI, where it replaces any other. */
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
  const address = parseCameraAddress(camera.source)
  if (address === null)
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${camera.id} has a password file, but its source is not a network address such as rtsp://192.168.1.20/live`,
    )
  const withLogin = withCredentials(address, camera.username ?? null, password)
  keepSecretsOf(withLogin.url)
  return { ...camera, passwordFile: file, source: withLogin.url }
}
