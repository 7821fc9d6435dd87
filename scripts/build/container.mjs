// Puts the files of the container image together, for any architecture and without running any of its programs: libraries
// and a shell from Debian, gapcam and Node from the Debian package, ffmpeg from a wheel of PyPI.
//   node scripts/build/container.mjs --packages FOLDER --out image [--arch arm64|amd64]    FOLDER has gapcam_VERSION_ARCH.deb
//   docker build -t gapcam image
// Needs mmdebstrap, dpkg-deb, fakeroot or root, tar, and pip. It runs as root or, with user namespaces, as anybody.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { imageFfmpeg } from '../fetch/ffmpegs.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const suite = 'bookworm'
/** What Node, the addon and the health check need, and nothing that they do not. */
const debian = ['base-files', 'libc6', 'libstdc++6', 'libgcc-s1', 'dash', 'findutils', 'grep']
const theirLibraries = ['libselinux1', 'libpcre2-8-0']
const left = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*', '/usr/lib/*/gconv/*']
/** As in the Dockerfile. */
const user = 10001

function must(command, args, options = {}) {
  const { status, stderr, error, stdout } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error || status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`)
  return stdout
}

/** Unpacks Debian's packages. Their scripts are not run: nothing of these needs them. */
function addDebian(folder, arch) {
  const excluded = left.map((pattern) => `--dpkgopt=path-exclude=${pattern}`)
  const wanted = `--include=${[...debian, ...theirLibraries].join(',')}`
  const mode = process.getuid() === 0 ? 'root' : 'unshare'
  const tar = `${folder}.tar`
  const options = ['--quiet', `--mode=${mode}`, '--variant=extract', `--architectures=${arch}`, ...excluded, wanted]
  must('mmdebstrap', [...options, suite, tar])
  must('tar', ['-xf', tar, '-C', folder, '--no-same-owner', '--exclude=./dev/*', '--exclude=./var/*'])
  rmSync(tar)
}

/** The user, and the two folders that it writes. */
function addUser(folder) {
  writeFileSync(
    join(folder, 'etc/passwd'),
    `root:x:0:0::/:/bin/sh\ngapcam:x:${user}:${user}::/var/lib/gapcam:/bin/sh\n`,
  )
  writeFileSync(join(folder, 'etc/group'), `root:x:0:\nvideo:x:44:gapcam\ngapcam:x:${user}:\n`)
  for (const path of ['var/lib/gapcam', 'run/gapcam', 'tmp']) mkdirSync(join(folder, path), { recursive: true })
  chmodSync(join(folder, 'var/lib/gapcam'), 0o700)
  chmodSync(join(folder, 'tmp'), 0o1777)
}

/** A tar of the tree in which all but two folders belong to root, and all times are the same. */
function packTree(folder, file) {
  const common = ['--sort=name', '--mtime=@0', '--numeric-owner', '-C', folder]
  const own = ['./var/lib/gapcam', './run/gapcam']
  const others = own.map((path) => `--exclude=${path}`)
  must('tar', ['-cf', file, '--owner=0', '--group=0', ...others, ...common, '.'])
  must('tar', ['-rf', file, `--owner=${user}`, `--group=${user}`, ...common, ...own])
}

function build({ packages, out, arch }) {
  const deb = join(packages, `gapcam_${version}_${arch}.deb`)
  if (!existsSync(deb)) throw new Error(`${deb} is missing: scripts/build/debian.mjs makes it`)
  const work = mkdtempSync(join(tmpdir(), 'gapcam-image-'))
  try {
    const folder = join(work, 'root')
    mkdirSync(folder, { mode: 0o755 })
    addDebian(folder, arch)
    must('sh', [
      '-c',
      `dpkg-deb --fsys-tarfile '${deb}' | tar -x --no-same-owner --keep-directory-symlink -C '${folder}'`,
    ])
    for (const path of ['usr/share/man', 'usr/share/bash-completion', 'usr/share/zsh', 'usr/share/fish', 'etc/gapcam'])
      rmSync(join(folder, path), { recursive: true, force: true })
    copyFileSync(imageFfmpeg(arch), join(folder, 'usr/bin/ffmpeg'))
    chmodSync(join(folder, 'usr/bin/ffmpeg'), 0o755)
    addUser(folder)
    mkdirSync(out, { recursive: true })
    packTree(folder, join(out, 'root.tar'))
    copyFileSync(join(root, 'Dockerfile'), join(out, 'Dockerfile'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function main() {
  const { values } = parseArgs({
    options: {
      packages: { type: 'string' },
      out: { type: 'string' },
      arch: { type: 'string', default: process.arch === 'arm64' ? 'arm64' : 'amd64' },
    },
  })
  if (!values.packages || !values.out) throw new Error('--packages FOLDER and --out FOLDER are needed')
  if (!['amd64', 'arm64'].includes(values.arch)) throw new Error(`--arch ${values.arch}: there are arm64 and amd64`)
  build({ packages: resolve(values.packages), out: resolve(values.out), arch: values.arch })
}

try {
  main()
} catch (error) {
  console.error(`container: ${error.message}`)
  process.exitCode = 1
}
