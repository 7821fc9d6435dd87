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

/** The names under which systemd (LoadCredential) or Docker (secrets) hand over a file. */
export const credentialNames = { password: 'mqtt-password', key: 'mqtt-key', camera: (id: string): string => `camera-${id}-password` } as const

/** Throws CONFIG_INVALID for a camera's password that cannot be read. */
export function withSecrets(config: Config, environment: NodeJS.ProcessEnv): WithSecrets {
  const { mqtt } = config
  keepSecret(mqtt.password)
  keepSecretsOf(mqtt.broker)
  for (const { source } of config.cameras) keepSecretsOf(source)
  // A password that somebody wrote down wins over one that lies about.
  const passwordFile = mqtt.password === undefined || mqtt.passwordFile !== undefined ? credentialFile(credentialNames.password, environment) : null
  const keyFile = credentialFile(credentialNames.key, environment)
  const cameras = config.cameras.map((camera) => ({ camera, file: credentialFile(credentialNames.camera(camera.id), environment) ?? camera.passwordFile }))
  if (passwordFile ?? mqtt.passwordFile) tryToKeep((passwordFile ?? mqtt.passwordFile)!)
  const named = [passwordFile === null ? mqtt.passwordFile : undefined, keyFile === null ? mqtt.key : undefined, ...config.cameras.map((camera) => camera.passwordFile)]
  return {
    config: {
      ...config, cameras: cameras.map(({ camera, file }) => (file === undefined ? camera : withPassword(camera, file))),
      mqtt: { ...mqtt, ...(passwordFile === null ? {} : { passwordFile }), ...(keyFile === null ? {} : { key: keyFile }) },
    },
    given: [...(passwordFile === null ? [] : ['mqtt.passwordFile']), ...(keyFile === null ? [] : ['mqtt.key'])],
    warnings: named.flatMap((file) => (file === undefined ? [] : [openToAll(file)])).filter((warning) => warning !== null),
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

/** The camera with its password in the URI, which is where its program wants it. */
function withPassword(camera: CameraConfig, file: string): CameraConfig {
  let password: string
  try {
    password = readSecret(file)
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `camera ${camera.id}: the password file ${file} cannot be read: ${messageOf(error)}`)
  }
  const [, scheme, userInfo = '', rest] = /^([\w+.-]+:\/\/)(?:([^/?#\s]*)@)?(.*)$/.exec(camera.source) ?? []
  if (scheme === undefined) throw new GapcamError('CONFIG_INVALID', `camera ${camera.id} has a password, and ${camera.source} is no address that could take one`)
  const user = camera.username === undefined ? userInfo.split(':')[0]! : encodeURIComponent(camera.username)
  return { ...camera, source: `${scheme}${user}:${encodeURIComponent(password)}@${rest}` }
}
