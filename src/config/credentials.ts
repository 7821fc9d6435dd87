/**
 * Secrets of a configuration. A file from the service manager or the container replaces the file that the configuration
 * names. All secrets that are read here or found in URLs are registered, so that no output shows them.
 */
import { parseCameraAddress, withCredentials } from '../address/camera.js'
import { fileFaultOf, GapcamError, messageOf } from '../errors.js'
import { credentialFile, keepSecret, keepSecretsOf, openToAll, readSecret } from '../secrets.js'
import type { CameraConfig, Config } from './schema.js'

/** The result of `withSecrets`. */
export interface WithSecrets {
  readonly config: Config
  /** Keys whose file came from a service manager or container. */
  readonly given: readonly string[]
  /** One sentence per secret file that every user of this machine can read. */
  readonly warnings: readonly string[]
}

/** The keys that name the file of a secret, and the name under which systemd (LoadCredential) or Docker (secrets) provides it. */
export const credentialNames = {
  'mqtt.passwordFile': 'mqtt-password',
  'mqtt.key': 'mqtt-key',
  'page.tokenFile': 'page-token',
} as const
type SecretFileKey = keyof typeof credentialNames

/** The name under which a service manager provides a camera's password. */
export const cameraCredential = (camera: string): string => `camera-${camera}-password`

/** The files of secrets that a configuration names, by key. */
export function secretFiles({ mqtt, page }: Config): Readonly<Record<SecretFileKey, string | undefined>> {
  return { 'mqtt.passwordFile': mqtt.passwordFile, 'mqtt.key': mqtt.key, 'page.tokenFile': page.tokenFile }
}

/**
 * The configuration with the files that the service manager provides, and with passwords in the sources of cameras.
 * Throws CONFIG_INVALID for a camera's password that cannot be read.
 */
export function withSecrets(config: Config, environment: NodeJS.ProcessEnv): WithSecrets {
  const { mqtt, page, cameras } = config
  for (const secret of [mqtt.password, page.token]) keepSecret(secret)
  for (const url of [mqtt.broker, ...cameras.map(({ source }) => source)]) keepSecretsOf(url)
  const named = secretFiles(config)
  // A password or token in the configuration itself wins over a file that the service manager happens to provide.
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
      mqtt: { ...mqtt, passwordFile: passwordFile ?? mqtt.passwordFile, key: key ?? mqtt.key },
      page: { ...page, tokenFile: tokenFile ?? page.tokenFile },
    },
    given: Object.keys(given),
    warnings: own
      .flatMap((file) => (file === undefined ? [] : [openToAll(file)]))
      .filter((warning) => warning !== null),
  }
}

/** Registers the secret in a file. A file that cannot be read is reported later, by the connection that needs it. */
function tryToKeep(file: string): void {
  try {
    readSecret(file)
  } catch {
    // What was not read cannot leak.
  }
}

/**
 * A function that returns the camera's source for each new opening, with the password that its file holds now. While the
 * file cannot be read the previous source is used, and `onFault` gets one sentence for each reason.
 */
export function sourceReader(camera: CameraConfig, onFault: (sentence: string) => void): () => string {
  let source = camera.source
  let fault: string | null = null
  return () => {
    try {
      source = withPassword(camera, camera.passwordFile).source
      fault = null
    } catch (error) {
      const reason = messageOf(error)
      if (reason !== fault) onFault(`${reason}; the previous password is used`)
      fault = reason
    }
    return source
  }
}

/** The camera with its password in the URI, where ffmpeg expects it. It replaces a password that is already there. */
function withPassword(camera: CameraConfig, file: string | undefined): CameraConfig {
  if (file === undefined) return camera
  let password: string
  try {
    password = readSecret(file)
  } catch (error) {
    throw new GapcamError(
      'CONFIG_INVALID',
      `camera ${camera.id}: the password file ${file} cannot be read: ${fileFaultOf(error)}`,
      { hint: 'Check the path and the permissions of the file.' },
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
