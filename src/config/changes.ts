/** Compares a configuration that was read again with the running one: which keys take effect now, and which need a restart. */
import { runtimeSchema, type CameraConfig, type Config } from './schema.js'

/** The result of `changesOf`. */
export interface ConfigChanges {
  /** Keys that take effect now. */
  readonly changed: readonly string[]
  /** Keys that differ but keep their value until the next start. Only names: some values are secrets. */
  readonly needsRestart: readonly string[]
  /** The running configuration with the new values of `changed`. */
  readonly config: Config
  /** The running cameras with the new values of `changed`. */
  readonly cameras: readonly CameraConfig[]
}

const runtimeKeys: ReadonlySet<string> = new Set(Object.keys(runtimeSchema.shape))
/** Keys of a camera that take effect at its next frame. */
const runtimeCameraKey = /^cameras\.[^.]+\.roi$/

/**
 * What changes when the configuration `before` is replaced by `next`. `running` are the cameras as they run: their source
 * may have been detected, while `before` has it as it was read.
 */
export function changesOf(before: Config, running: readonly CameraConfig[], next: Config): ConfigChanges {
  const [old, fresh] = [flat(before), flat(next)]
  const different = [...new Set([...old.keys(), ...fresh.keys()])].filter(
    (key) => !isSame(old.get(key), fresh.get(key)),
  )
  const cameraKeys = before.cameras.flatMap((camera) =>
    cameraChanges(
      camera,
      next.cameras.find(({ id }) => id === camera.id),
    ),
  )
  const added = next.cameras
    .filter(({ id }) => !before.cameras.some((camera) => camera.id === id))
    .map(({ id }) => `cameras.${id}`)
  const keys = [...different, ...cameraKeys, ...added]
  const isRuntime = (key: string): boolean => runtimeKeys.has(key) || runtimeCameraKey.test(key)
  const {
    policy,
    mqtt: { stateEveryMs, resultEveryMs },
    logLevel,
  } = next
  const withRegion = (camera: CameraConfig): CameraConfig => {
    const { roi, ...rest } = camera
    const other = next.cameras.find(({ id }) => id === camera.id)
    return !other ? camera : other.roi ? { ...rest, roi: isSame(roi, other.roi) ? roi! : other.roi } : rest
  }
  return {
    changed: keys.filter(isRuntime),
    needsRestart: keys.filter((key) => !isRuntime(key)),
    config: {
      ...before,
      policy,
      logLevel,
      mqtt: { ...before.mqtt, stateEveryMs, resultEveryMs },
      cameras: before.cameras.map(withRegion),
    },
    cameras: running.map(withRegion),
  }
}

function cameraChanges(before: CameraConfig, next: CameraConfig | undefined): string[] {
  if (!next) return [`cameras.${before.id}`]
  const names = [...new Set([...Object.keys(before), ...Object.keys(next)])] as (keyof CameraConfig)[]
  return names.filter((name) => !isSame(before[name], next[name])).map((name) => `cameras.${before.id}.${name}`)
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** The values of all keys except the cameras, by dotted key. */
function flat({ cameras: _cameras, ...config }: Config): Map<string, unknown> {
  return new Map(
    Object.entries(config).flatMap(([key, value]): [string, unknown][] =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && key !== 'inputSize'
        ? Object.entries(value).map(([name, inner]) => [`${key}.${name}`, inner])
        : [[key, value]],
    ),
  )
}
