/** What the tests of cameras share: a photograph as a picture and as a video in a folder that is removed afterwards. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { launch, type Running } from '../process.js'
import { projectRoot } from '../shared.js'

/** Flags of a run without a broker that prints JSON. */
export const settings = ['--json', '--broker', 'none']

export interface Clips {
  readonly folder: string
  /** A bird, 480 x 320. */
  readonly still: string
  /** The same for 3 s at 10 frames a second. */
  readonly video: string
  remove(): void
}

export async function makeClips(): Promise<Clips> {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-streams-'))
  const [still, video] = [join(folder, 'bird.jpg'), join(folder, 'bird.mp4')]
  // H.264 needs even sizes.
  await sharp(join(projectRoot, 'models/photos/bird.jpg')).resize(480, 320, { fit: 'cover' }).jpeg().toFile(still)
  const input = ['-v', 'error', '-loop', '1', '-framerate', '10', '-t', '3', '-i', still]
  execFileSync('ffmpeg', [...input, '-pix_fmt', 'yuv420p', video])
  return { folder, still, video, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** GStreamer's RTSP server with the picture at /bird; with a login where one is given. */
export async function startRtspServer(port: number, still: string, ...login: readonly string[]): Promise<Running> {
  const server = launch('/usr/bin/python3', [
    join(projectRoot, 'test/camera/rtsp-server.py'),
    String(port),
    still,
    ...login,
  ])
  await server.until(/ready/)
  return server
}
