/** Finds the first camera that works: it opens and delivers a frame. */
import { execFile } from 'node:child_process'
import { messageOf } from '../errors.js'
import type { CameraDescription } from './camera.js'
import { endingWithUs } from './programs.js'
import { csiProgram } from './gstreamer.js'
import { openCamera } from './sources.js'
import { listV4l2Devices } from './v4l2.js'

/** A camera that works, or the reasons why none does. */
export type FoundCamera =
  | { readonly uri: string; readonly description: CameraDescription }
  | { readonly reasons: readonly string[] }

const frameMs = 3000

/** Tries V4L2 devices, then CSI cameras. Bounded in time; never rejects. */
export async function findFirstCamera(signal: AbortSignal): Promise<FoundCamera> {
  const reasons: string[] = []
  for (const uri of await candidates(reasons)) {
    if (signal.aborted) break
    const result = await attempt(uri, signal)
    if (typeof result !== 'string') return { uri, description: result }
    reasons.push(result)
  }
  return { reasons: reasons.length > 0 ? reasons : ['no camera is connected'] }
}

async function candidates(reasons: string[]): Promise<string[]> {
  const devices = await listV4l2Devices()
  for (const { problem } of devices) if (problem !== null) reasons.push(problem)
  return [
    ...devices.filter(({ problem }) => problem === null).map(({ path }) => `v4l2://${path}`),
    ...(await listCsiCameras()).map(({ uri }) => uri),
  ]
}

async function attempt(uri: string, signal: AbortSignal): Promise<CameraDescription | string> {
  const camera = openCamera(uri, {})
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(frameMs)])
  const stop = (): void => void camera.close()
  timeout.addEventListener('abort', stop, { once: true })
  try {
    const description = await camera.open(timeout)
    const frame = await camera.next(timeout)
    frame?.release()
    return frame ? description : `${uri} delivers no frame`
  } catch (error) {
    return timeout.aborted ? `${uri} delivers no frame` : messageOf(error)
  } finally {
    timeout.removeEventListener('abort', stop)
    await camera.close()
  }
}

/** The CSI cameras that libcamera lists; empty where its programs are not installed. */
export async function listCsiCameras(): Promise<{ readonly uri: string; readonly name: string }[]> {
  const program = csiProgram()
  if (program === null) return []
  if (program === 'argus') return [{ uri: 'csi://0', name: 'CSI camera through Argus' }]
  const text = await new Promise<string>((resolve) => {
    execFile(
      ...endingWithUs(program.replace('-vid', '-hello'), ['--list-cameras']),
      { timeout: 5000 },
      (_error, stdout, stderr) => resolve(`${stdout}\n${stderr}`),
    )
  })
  return [...text.matchAll(/^(\d+) : (.+?)( \[|$)/gm)].map(([, index, name]) => ({
    uri: `csi://${index}`,
    name: name ?? 'CSI camera',
  }))
}
