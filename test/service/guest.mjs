// Runs where systemd is the init (with-systemd): gapcam as a service for real, scene by scene. One JSON line a scene;
// systemd.test.ts looks at them.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const config = '/etc/gapcam/gapcam.yaml'
const tell = (scene, facts) => console.log(JSON.stringify({ scene, ...facts }))
const seconds = () => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function gapcam(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${root}dist/cli/main.js`, ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

function show(...names) {
  const text = execFileSync('systemctl', ['show', 'gapcam.service', `--property=${names.join(',')}`], {
    encoding: 'utf8',
  })
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

/** Waits until systemd says so; how long it took, in seconds of the machine. */
async function until(holds, limitS = 300) {
  const start = seconds()
  while (seconds() - start < limitS) {
    const state = show('ActiveState', 'SubState', 'MainPID', 'NRestarts', 'StatusText', 'Result', 'ExecMainStatus')
    if (holds(state)) return { tookS: Math.round((seconds() - start) * 10) / 10, ...state }
    await sleep(200)
  }
  return {
    tookS: null,
    ...show('ActiveState', 'SubState', 'MainPID', 'NRestarts', 'StatusText', 'Result', 'ExecMainStatus'),
  }
}

const isUp =
  (restarts) =>
  ({ SubState, NRestarts, StatusText }) =>
    SubState === 'running' && Number(NRestarts) >= restarts && /results a second/.test(StatusText)
const journal = (pattern) =>
  execFileSync('journalctl', ['-u', 'gapcam', '-o', 'cat', '--no-pager'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => pattern.test(line))
const listen = (topic) =>
  spawnSync(
    'mosquitto_sub',
    ['-p', '1884', '-u', 'belt', '-P', 'not-in-the-journal', '-t', topic, '-C', '1', '-W', '100'],
    { encoding: 'utf8' },
  ).stdout.trim()

/** The broker keeps what it was told before; a new run says what holds now once it is connected. */
async function heard(topic, payload) {
  for (let i = 0; i < 100 && listen(topic) !== payload; i++) await sleep(100)
  return listen(topic)
}

function configure(text) {
  mkdirSync('/etc/gapcam', { recursive: true })
  writeFileSync('/etc/gapcam/password', 'not-in-the-journal\n', { mode: 0o600 })
  writeFileSync(config, text)
  chmodSync(config, 0o644)
}

const usual = `node: belt
threads: 1
hungAfterMs: 3000
page: { enabled: false }
homeassistant: false
cameras: [{ id: cam0, source: 'test://?fps=5' }]
mqtt: { broker: 'mqtt://127.0.0.1:1884', username: belt, passwordFile: /etc/gapcam/password }
`

execFileSync('mosquitto_passwd', ['-b', '-c', '/etc/mosquitto-users', 'belt', 'not-in-the-journal'])
chmodSync('/etc/mosquitto-users', 0o644)
writeFileSync(
  '/etc/mosquitto-vm.conf',
  'listener 1884 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto-users\nuser root\n',
)
const broker = spawn('mosquitto', ['-c', '/etc/mosquitto-vm.conf'], { stdio: 'ignore' })
await sleep(1000)

configure(usual)
const installed = gapcam('service', 'install')
tell('install', installed)
const up = installed.status === 0 ? await until(isUp(0), 60) : { tookS: null }
tell('up', { ...up, ...(up.tookS === null ? { journal: journal(/./).slice(-25) } : {}) })
if (up.tookS === null) process.exit(1)
tell('label', {
  status: await heard('gapcam/belt/status', 'online'),
  camera: await heard('gapcam/belt/cam0/status', 'online'),
  health: listen('gapcam/belt/health'),
})
tell('status', gapcam('service', 'status'))
tell('exposure', {
  line: execFileSync('systemd-analyze', ['security', '--no-pager', 'gapcam.service'], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1),
})

const { MainPID: pid } = show('MainPID')
const processStatus = readFileSync(`/proc/${pid}/status`, 'utf8')
tell('process', {
  uid: Number(/^Uid:\s+(\d+)/m.exec(processStatus)[1]),
  noNewPrivileges: /^NoNewPrivs:\s+1/m.test(processStatus),
  seccomp: /^Seccomp:\s+2/m.test(processStatus),
  capabilities: /^CapEff:\s+(\w+)/m.exec(processStatus)[1],
  stateDirectory: readdirSync('/var/lib/private/gapcam'),
  password: readFileSync(`/proc/${pid}/environ`, 'utf8').includes('not-in-the-journal'),
})

spawnSync('systemctl', ['reload', 'gapcam'])
for (let i = 0; i < 100 && journal(/configuration/i).length === 0; i++) await sleep(100)
tell('reload', { ...(await until(isUp(0))), journal: journal(/reload|configuration/i) })

const holder = spawn('python3', [`${root}test/service/hold-thread.py`, pid], { stdio: ['ignore', 'pipe', 'inherit'] })
await new Promise((resolve) => holder.stdout.once('data', resolve))
tell('main thread held', {
  ...(await until(({ MainPID }) => MainPID !== pid, 90)),
  journal: journal(/main thread has hung/),
})
tell('up again', await until(isUp(1)))

// The running node takes its mark at its next start; that of a node that does not run stays.
const idle = '/var/lib/private/gapcam/idle/bundles'
mkdirSync(idle, { recursive: true })
spawnSync('chown', ['-R', '--reference=/var/lib/private/gapcam/belt', dirname(idle)])
const stopped = show('MainPID').MainPID
process.kill(Number(stopped), 'SIGSTOP')
tell('process stopped', {
  ...(await until(({ MainPID }) => MainPID !== stopped, 90)),
  journal: journal(/Watchdog timeout|watchdog/i),
  marks: readdirSync(idle),
})
tell('up after that', await until(isUp(2)))

configure(usual.replace('threads', 'threds'))
spawnSync('systemctl', ['restart', 'gapcam'])
const failed = await until(({ ActiveState }) => ActiveState === 'failed')
await sleep(2500) // longer than RestartSec
tell('bad configuration', { ...failed, later: show('ActiveState').ActiveState, journal: journal(/threds/) })
tell('status of what does not run', gapcam('service', 'status'))

configure(usual.replace('test://?fps=5', 'v4l2:///dev/video77'))
spawnSync('systemctl', ['restart', 'gapcam'])
tell('camera not there', {
  ...(await until(({ SubState, StatusText }) => SubState === 'running' && StatusText !== '')),
  camera: await heard('gapcam/belt/cam0/status', 'offline'),
})
const restarts = show('NRestarts').NRestarts
execFileSync('mosquitto_pub', [
  '-p',
  '1884',
  '-u',
  'belt',
  '-P',
  'not-in-the-journal',
  '-t',
  'gapcam/belt/request/restart',
  '-m',
  '{"transaction":"1"}',
])
tell(
  'restarted by command',
  await until(({ ActiveState, NRestarts }) => Number(NRestarts) > Number(restarts) && ActiveState === 'active'),
)

tell('uninstall', gapcam('service', 'uninstall'))
tell('gone', show('LoadState', 'ActiveState'))
tell('secrets', { lines: journal(/not-in-the-journal/).length, of: journal(/./).length })
broker.kill()
