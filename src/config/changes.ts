/** What a second reading of the configuration brings: what may change while gapcam runs, and what waits for a restart. */
import { runtimeSchema, type CameraConfig, type Config } from './schema.js'

export interface ConfigChanges {
  /** Keys that take effect now. */
  readonly changed: readonly string[]
  /** Keys that differ and stay as they are until the next start. Values are not told: some are secrets. */
  readonly needsRestart: readonly string[]
  /** The configuration that runs, with what changed. */
  readonly config: Config
  readonly cameras: readonly CameraConfig[]
}

const runtimeKeys: ReadonlySet<string> = new Set(Object.keys(runtimeSchema.shape))
/** A camera's keys that take effect at its next frame. */
const runtimeCameraKey = /^cameras\.[^.]+\.roi$/

/** `before` is the configuration that runs, as it was read; `running` its cameras, whose source may have been found since. */
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

/** Every key but the cameras by its dotted name. */
function flat({ cameras: _cameras, ...config }: Config): Map<string, unknown> {
  return new Map(
    Object.entries(config).flatMap(([key, value]): [string, unknown][] =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && key !== 'inputSize'
        ? Object.entries(value).map(([name, inner]) => [`${key}.${name}`, inner])
        : [[key, value]],
    ),
  )
}
