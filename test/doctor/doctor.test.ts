/** `gapcam doctor` on machines with faults: real brokers, a real full disk, real certificates, pictures of nothing. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { examineBoard } from '../../src/doctor/board.js'
import { exitStatusOf, type Check, type DoctorContext } from '../../src/doctor/doctor.js'
import { findFaults, kernelFaults } from '../../src/doctor/kernel-log.js'
import { cleanEnvironment, cli, endAll, gapcam, launch } from '../process.js'
import { asWhoWeAre, cleanUp, freePort, hasMosquitto, startMosquitto, subscribe } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-doctor-'))
const bird = join(projectRoot, 'models/photos/bird.jpg')
const small = ['--model', join(projectRoot, 'models/convnet-gap.onnx'), '--threads', '1']
afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Report {
  readonly status: number
  readonly checks: readonly Check[]
}

async function doctor(...args: string[]): Promise<Report & { exit: unknown; of(name: string): Check }> {
  const run = gapcam(['doctor', ...args, '--json'])
  const exit = await run.ended
  expect(run.stdout(), run.stderr()).not.toBe('')
  const report = JSON.parse(run.stdout()) as Report
  for (const { verdict, fix, name } of report.checks)
    if (verdict === 'warn' || verdict === 'fail') expect(fix, name).toMatch(/\w/)
  expect(exit).toBe(report.status)
  return {
    ...report,
    exit,
    of: (name) =>
      report.checks.find((check) => check.name === name) ??
      expect.fail(`no check ${name} in ${report.checks.map((check) => check.name).join(', ')}`),
  }
}

const canMount = ((): boolean => {
  try {
    execFileSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe('on a machine with no camera, no broker and a full disk', () => {
  it.skipIf(!canMount)('names all three, each with what mends it (skipped where a user may not mount)', async () => {
    const state = join(folder, 'full')
    mkdirSync(state)
    const port = await freePort()
    const source = readdirSync('/dev').some((name) => /^video\d/.test(name)) ? ['v4l2:///dev/video99'] : []
    const script = `mount -t tmpfs -o size=1m tmpfs '${state}' && mkdir '${state}/gapcam' && dd if=/dev/zero of='${state}/filler' bs=4k 2>/dev/null; exec "$@"`
    const run = launch(
      'unshare',
      [
        '-rm',
        'sh',
        '-c',
        script,
        'sh',
        process.execPath,
        cli,
        'doctor',
        ...source,
        '--broker',
        `mqtt://127.0.0.1:${port}`,
        '--set',
        `stateDir=${state}`,
      ],
      { env: cleanEnvironment() },
    )
    expect(await run.ended, run.stderr()).toBe(2)
    expect(run.stdout()).toMatch(/fail {2}space: the disk is full: .*\n +-> Free some space/)
    expect(run.stdout()).toMatch(/fail {2}write: .* cannot be written: the disk is full\n +-> Free some space/)
    expect(run.stdout()).toMatch(/fail {2}(camera|cam0): .*(no camera|video99).*\n +-> /)
    expect(run.stdout()).toMatch(
      new RegExp(
        `fail {2}port: nothing listens on 127\\.0\\.0\\.1:${port}: connection refused\\n +-> Start the broker`,
      ),
    )
    expect(run.stdout()).toMatch(/ok {4}golden answers: \d photographs have the labels they should/)
  })
})

describe('where all is well', () => {
  it('ends with 0, and has looked at everything', async () => {
    const { exit, checks, of } = await doctor(bird, '--broker', 'none')
    expect(exit).toBe(0)
    expect(new Set(checks.map(({ area }) => area))).toEqual(
      new Set(['program', 'disk', 'clock', 'board', 'model', 'camera', 'broker', 'home assistant']),
    )
    expect(of('self-test').verdict).toBe('ok')
    expect(of('golden answers').verdict).toBe('ok')
    expect(of('cam0 picture').verdict).toBe('ok')
  })
})

describe('the model and the configuration', () => {
  it('a model that is not there: status 4', async () => {
    const { exit, of } = await doctor(bird, '--model', '/nowhere/model.onnx', '--broker', 'none')
    expect([exit, of('model').verdict, of('model').evidence]).toEqual([
      4,
      'fail',
      expect.stringContaining('/nowhere/model.onnx'),
    ])
  })

  it('a configuration that cannot be: status 2, the key, and nothing else is guessed at', async () => {
    const { exit, checks } = await doctor(bird, '--set', 'policy.treshold=1')
    expect([exit, checks.length, checks[0]!.evidence]).toEqual([
      2,
      1,
      expect.stringContaining('did you mean policy.threshold'),
    ])
  })

  it('labels that do not fit: status 4', async () => {
    writeFileSync(join(folder, 'labels.txt'), 'one\ntwo\n')
    const { exit, of } = await doctor(bird, ...small, '--labels', join(folder, 'labels.txt'), '--broker', 'none')
    expect([exit, of('model').evidence]).toEqual([4, expect.stringMatching(/labels/)])
  })

  it('without the addon says so and goes on', async () => {
    const run = gapcam(['doctor', bird, ...small, '--broker', 'none', '--json'], {
      env: { GAPCAM_ADDON: '/nowhere/gapcam.node' },
    })
    expect(await run.ended, run.stderr()).toBe(0)
    const { checks } = JSON.parse(run.stdout()) as Report
    expect(checks.find(({ name }) => name === 'addon')).toMatchObject({
      verdict: 'warn',
      evidence: expect.stringMatching(/cannot be loaded/),
    })
    expect(checks.find(({ name }) => name === 'engine')).toMatchObject({
      verdict: 'warn',
      evidence: expect.stringMatching(/onnxruntime/),
    })
  })
})

describe('cameras', () => {
  const picture = async (name: string, levels: (i: number) => number): Promise<string> => {
    const file = join(folder, `${name}.png`)
    await sharp(
      Uint8Array.from({ length: 64 * 48 * 3 }, (_, i) => levels(i)),
      { raw: { width: 64, height: 48, channels: 3 } },
    )
      .png()
      .toFile(file)
    return file
  }

  it('one that is not there: status 3', async () => {
    const { exit, of } = await doctor('v4l2:///dev/video99', ...small, '--broker', 'none')
    expect([exit, of('cam0').evidence]).toEqual([3, expect.stringContaining('/dev/video99')])
  })

  it.each([
    ['black', () => 2, /black/],
    ['white', () => 254, /white/],
    ['flat', (i: number) => 120 + (i % 2), /flat/],
  ] as const)('a %s picture', async (name, levels, sentence) => {
    const { exit, of } = await doctor(await picture(name, levels), ...small, '--broker', 'none')
    expect([exit, of('cam0 picture').verdict, of('cam0 picture').evidence]).toEqual([
      0,
      'warn',
      expect.stringMatching(sentence),
    ])
  })

  it('a live camera whose frames never differ is frozen', async () => {
    const { of } = await doctor('gst:videotestsrc pattern=checkers-8 is-live=true', ...small, '--broker', 'none')
    expect(of('cam0 picture')).toMatchObject({
      verdict: 'warn',
      evidence: expect.stringMatching(/same to the last bit/),
    })
  })
})

describe.skipIf(!hasMosquitto)('brokers (skipped where mosquitto is not installed)', () => {
  const at = (url: string, ...more: string[]): ReturnType<typeof doctor> =>
    doctor(bird, ...small, '--broker', url, ...more)

  it('one that takes us, with Home Assistant on it', async () => {
    const broker = await startMosquitto()
    const { messages } = await subscribe(broker.port, 'gapcam/gapcam/#')
    execFileSync('mosquitto_pub', [
      '-h',
      '127.0.0.1',
      '-p',
      String(broker.port),
      '-t',
      'homeassistant/status',
      '-m',
      'online',
      '-r',
    ])
    const { exit, of } = await at(broker.url)
    expect(exit).toBe(0)
    expect([of('login').verdict, of('right to listen').verdict, of('right to publish').verdict]).toEqual([
      'ok',
      'ok',
      'ok',
    ])
    expect(of('Home Assistant')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringMatching(/online on this broker/),
    })
    expect(
      messages.every(({ topic }) => topic === 'gapcam/gapcam/response/doctor'),
      'nobody else is disturbed',
    ).toBe(true)
  })

  it('a name that nobody knows', async () => {
    const { exit, of } = await at('mqtt://no-such-host.invalid')
    expect([exit, of('name').verdict]).toEqual([5, 'fail'])
    expect(of('name').evidence).toMatch(/no-such-host\.invalid/)
  })

  it('a wrong password, and rights that are missing', async () => {
    const [users, acl] = [join(folder, 'users'), join(folder, 'acl')]
    execFileSync('mosquitto_passwd', ['-c', '-b', users, 'cam', 'right'])
    writeFileSync(acl, 'user cam\ntopic read other/#\n')
    chmodSync(users, 0o600)
    const broker = await startMosquitto([
      'allow_anonymous false',
      `password_file ${users}`,
      `acl_file ${acl}`,
      ...asWhoWeAre,
    ])
    const wrong = await at(broker.url, '--set', 'mqtt.username=cam', '--set', 'mqtt.password=wrong')
    expect([wrong.exit, wrong.of('login').verdict, wrong.of('login').fix]).toEqual([
      5,
      'fail',
      expect.stringMatching(/mqtt\.username and mqtt\.passwordFile/),
    ])
    expect(JSON.stringify(wrong.checks)).not.toContain('"wrong"')
    const bare = await at(broker.url, '--set', 'mqtt.username=cam', '--set', 'mqtt.password=right')
    expect([bare.exit, bare.of('login').verdict, bare.of('right to publish').verdict]).toEqual([5, 'ok', 'fail'])
    expect(bare.of('right to publish').fix).toMatch(/topic readwrite gapcam\/#/)
  })

  it('TLS: a certificate that nobody vouches for, one that is trusted, and a port without TLS', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '30',
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost',
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { stdio: 'ignore' },
    )
    const broker = await startMosquitto(['allow_anonymous true', `certfile ${cert}`, `keyfile ${key}`, ...asWhoWeAre])
    const url = `mqtts://localhost:${broker.port}`
    const stranger = await at(url)
    expect([stranger.exit, stranger.of('TLS').verdict, stranger.of('TLS').fix]).toEqual([
      5,
      'fail',
      expect.stringMatching(/mqtt\.ca/),
    ])
    const trusted = await at(url, '--set', `mqtt.ca=${cert}`)
    expect([trusted.exit, trusted.of('TLS').verdict, trusted.of('TLS').evidence]).toEqual([
      0,
      'ok',
      expect.stringMatching(/certificate of localhost, valid for (29|30) days/),
    ])
    const plain = await startMosquitto()
    const odd = await at(`mqtts://localhost:${plain.port}`)
    expect([odd.exit, odd.of('TLS').verdict]).toEqual([5, 'fail'])
  })
})

describe('what the kernel says', () => {
  it.each([
    ['camera memory', 'cma: cma_alloc: reserved: alloc failed, req-size: 450 pages, ret: -12'],
    ['CSI front end', 'rp1-cfe 1f00110000.csi: csi2_ch0 node link timed out'],
    ['CSI front end', 'video4linux video0: frontend timeout'],
    ['Argus', 'tegra194-vi5 15c10000.vi: PXL_SOF syncpt timeout! err = -11'],
    ['USB', 'usb 1-1.3: USB disconnect, device number 5'],
    ['supply', 'hwmon hwmon1: Undervoltage detected!'],
    ['supply', 'Under-voltage detected! (0x00050005)'],
    ['card', 'mmc0: error -110 whilst initialising SD card'],
    ['card', 'blk_update_request: I/O error, dev mmcblk0, sector 1234'],
    ['memory', 'Out of memory: Killed process 812 (node) total-vm:1234kB'],
  ])('%s: %s', (name, line) => {
    expect(
      findFaults(`all is well\n${line}\nusb 1-1: new high-speed USB device number 2\n`).map((fault) => fault.name),
    ).toEqual([name])
  })

  it('an ordinary start names no fault', () => {
    const log =
      'Linux version 6.6\ncma: Reserved 64 MiB at 0x3ac00000\nusb 1-1: New USB device found\nmmc0: new high speed SDHC card\nuvcvideo 1-1:1.0: Found UVC 1.00 device\nthermal_sys: Registered thermal governor\nunicam fe801000.csi: registered'
    expect(findFaults(log)).toEqual([])
    expect(kernelFaults.every(({ fix, cause }) => fix.length > 10 && cause.length > 10)).toBe(true)
  })

  let root: string
  beforeAll(() => {
    root = join(folder, 'board')
    mkdirSync(join(root, 'sys/class/thermal/thermal_zone0'), { recursive: true })
    mkdirSync(join(root, 'proc/device-tree'), { recursive: true })
    writeFileSync(join(root, 'sys/class/thermal/thermal_zone0/type'), 'cpu-thermal\n')
    writeFileSync(join(root, 'sys/class/thermal/thermal_zone0/temp'), '88200\n')
    writeFileSync(join(root, 'proc/device-tree/model'), 'Raspberry Pi 5 Model B Rev 1.0\0')
    writeFileSync(
      join(root, 'kernel.log'),
      'Under-voltage detected! (0x00050005)\nunicam fe801000.csi: frontend timeout\n',
    )
  })

  it('a hot board with a weak supply and a loose ribbon: all three, under the area that each harms', async () => {
    const checks = await examineBoard({ root, stateFolder: folder } as DoctorContext)
    expect(checks.find(({ name }) => name === 'board')?.evidence).toMatch(/Raspberry Pi 5/)
    expect(checks.find(({ name }) => name === 'temperature')).toMatchObject({
      verdict: 'fail',
      evidence: expect.stringMatching(/^88/),
    })
    expect(checks.find(({ name }) => name === 'kernel: supply')).toMatchObject({ area: 'board', verdict: 'warn' })
    expect(checks.find(({ name }) => name === 'kernel: CSI front end')).toMatchObject({
      area: 'camera',
      fix: expect.stringMatching(/ribbon cable/),
    })
  })
})

it('the exit status is that of the first area that fails, in the order in which one needs the other', () => {
  const failing = (...areas: Check['area'][]): number =>
    exitStatusOf(areas.map((area): Check => ({ area, name: 'x', verdict: 'fail', evidence: '', fix: '' })))
  expect([
    failing(),
    failing('broker'),
    failing('broker', 'camera'),
    failing('camera', 'model'),
    failing('model', 'disk'),
    failing('clock', 'board'),
  ]).toEqual([0, 5, 3, 4, 2, 0])
  expect(existsSync(cli)).toBe(true)
})
