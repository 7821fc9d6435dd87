/**
 * Reads and sets the controls of V4L2 cameras that change how a picture looks (exposure, gain, focus …), while the stream
 * goes on. Other kinds of camera have no controls here.
 */
import type { VideoControl } from '../addon-capture.js'
import { loadAddon } from '../addon.js'
import { GapcamError, messageOf } from '../errors.js'

/** What a control acts on; the page groups controls by it. */
export type ControlGroup = 'exposure' | 'gain' | 'focus' | 'white balance' | 'picture'

/** A control that can be set, with its range and value. */
export interface CameraControl extends Omit<VideoControl, 'isReadOnly'> {
  readonly group: ControlGroup
}

/** Control numbers of linux/v4l2-controls.h: the base of a class plus the place in it. */
const [user, cameraClass] = [0x00980900, 0x009a0900]
const groups: ReadonlyMap<number, ControlGroup> = new Map<number, ControlGroup>([
  [user + 0, 'picture'],
  [user + 1, 'picture'],
  [user + 2, 'picture'],
  [user + 27, 'picture'],
  [user + 28, 'picture'],
  [user + 12, 'white balance'],
  [user + 26, 'white balance'],
  [user + 17, 'exposure'],
  [user + 18, 'gain'],
  [user + 19, 'gain'],
  [user + 24, 'picture'],
  [cameraClass + 1, 'exposure'],
  [cameraClass + 2, 'exposure'],
  [cameraClass + 3, 'exposure'],
  [cameraClass + 10, 'focus'],
  [cameraClass + 12, 'focus'],
  [cameraClass + 13, 'focus'],
  [cameraClass + 19, 'exposure'],
])
const order: readonly ControlGroup[] = ['exposure', 'gain', 'focus', 'white balance', 'picture']

/** The device of a camera's URI, or null where it is none. */
export function deviceOf(source: string): string | null {
  return /^(?:v4l2:\/\/)?(\/dev\/.+)$/.exec(source)?.[1] ?? null
}

/** The controls that can be set, the most useful first. Empty for a source that is not a V4L2 device. Throws CAMERA_LOST. */
export function readControls(source: string): CameraControl[] {
  const device = deviceOf(source)
  const loaded = loadAddon()
  if (device === null || 'reason' in loaded) return []
  try {
    const found = loaded.addon.videoControls(device).filter(({ id, isReadOnly }) => groups.has(id) && !isReadOnly)
    return found
      .map(({ isReadOnly: _, ...control }) => ({ ...control, group: groups.get(control.id)! }))
      .sort((a, b) => order.indexOf(a.group) - order.indexOf(b.group) || a.id - b.id)
  } catch (error) {
    throw new GapcamError('CAMERA_LOST', messageOf(error), { cause: error })
  }
}

/** Sets a control of `readControls`. Throws USAGE for an unknown control or a value out of range, before the driver is asked. */
export function setControl(source: string, id: number, value: number): void {
  const control = readControls(source).find((candidate) => candidate.id === id)
  const loaded = loadAddon()
  const device = deviceOf(source)
  if (!control || device === null || 'reason' in loaded)
    throw new GapcamError('USAGE', `this camera has no control ${id}`, {
      hint: 'The page lists the controls of the camera.',
    })
  const isChoice = control.kind !== 'menu' || control.menu.some((choice) => choice.value === value)
  if (!Number.isInteger(value) || value < control.min || value > control.max || !isChoice)
    throw new GapcamError('USAGE', `${control.name}: ${value} is not from ${control.min} to ${control.max}`, {
      hint: 'Choose a value within the range.',
    })
  try {
    loaded.addon.setVideoControl(device, id, value)
  } catch (error) {
    throw new GapcamError('CAMERA_FORMAT', `${control.name}: ${messageOf(error)}`, {
      cause: error,
      hint: 'Another control may override it, for example automatic exposure.',
    })
  }
}
