/** Teaching on the small network that comes with gapcam, with pictures made of flat colours and shapes. */
import { existsSync, mkdtempSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { focusOf } from '../../src/heat/focus.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { teach, type Taught } from '../../src/teach/teach.js'
import { launch } from '../process.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-teach-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const model = join(projectRoot, 'models/convnet-gap.onnx')
const engine = { threads: 1, inputSize: { height: 32, width: 32 } }
const random = new Random(3)

/** A gate in front of noise: closed is a bar across the picture, open a bar at its side. */
async function gate(state: string, name: string): Promise<string> {
  const light = 0.8 + 0.4 * random.next()
  const data = new Uint8Array(64 * 64 * 3)
  const shift = Math.floor(random.next() * 6)
  for (let y = 0; y < 64; y++)
    for (let x = 0; x < 64; x++) {
      const isBar = state === 'closed' ? y > 26 + shift && y < 40 + shift : x < 10 + shift
      for (let c = 0; c < 3; c++)
        data[(y * 64 + x) * 3 + c] = Math.min(255, light * ((isBar ? 200 - 60 * c : 70 + 20 * c) + 20 * random.next()))
    }
  const file = join(folder, state, `${name}.png`)
  mkdirSync(join(folder, state), { recursive: true })
  await sharp(data, { raw: { width: 64, height: 64, channels: 3 } })
    .png()
    .toFile(file)
  return file
}

const states = new Map<string, string[]>()
const output = join(folder, 'gate.onnx')
let taught: Taught
beforeAll(async () => {
  for (const state of ['open', 'closed']) {
    const files: string[] = []
    for (let i = 0; i < 8; i++) files.push(await gate(state, `${i}`))
    states.set(state, files)
  }
  taught = await teach({ model, states, engine })
  writeFileSync(output, taught.bytes)
})

describe('a taught model', () => {
  it('tells its states on pictures that it was not taught, equally on both engines', async () => {
    const unseen = [await gate('open', 'unseen'), await gate('closed', 'unseen')]
    const all = await Promise.all(
      (['native', 'onnxruntime'] as const).map(async (name) => {
        const classifier = await openClassifier({ model: output, engine: name, threads: 1 })
        try {
          const found: { labels: string[]; numbers: number[] } = { labels: [], numbers: [] }
          for (const file of unseen) {
            const outcome = await classifier.classify(frameOf(await decodeFile(file)))
            if (!outcome.ok) throw new Error(outcome.reason)
            const { top, logits, novelty } = outcome.prediction
            found.labels.push(top[0]!.label)
            found.numbers.push(...logits, novelty!.distance)
          }
          return found
        } finally {
          await classifier.close()
        }
      }),
    )
    for (const { labels } of all) expect(labels).toEqual(['open', 'closed'])
    const [native, other] = [all[0]!.numbers, all[1]!.numbers]
    const scale = Math.max(...other.map(Math.abs))
    native.forEach((value, i) => expect(Math.abs(value - other[i]!)).toBeLessThan(1e-5 * scale))
  })

  it('seldom finds a new picture of its states novel', async () => {
    const classifier = await openClassifier({ model: output, threads: 1 })
    try {
      let novel = 0
      for (let i = 0; i < 20; i++) {
        const file = await gate(i % 2 === 0 ? 'open' : 'closed', `later-${i}`)
        const outcome = await classifier.classify(frameOf(await decodeFile(file)))
        if (outcome.ok && outcome.prediction.novelty?.cause) novel++
        rmSync(file)
      }
      expect(novel).toBeLessThanOrEqual(4)
    } finally {
      await classifier.close()
    }
  })

  it('finds photographs and a black picture novel', async () => {
    const classifier = await openClassifier({ model: output, threads: 1 })
    try {
      const black = frameOf({ data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 })
      const dark = await classifier.classify(black)
      expect(dark.ok && dark.prediction.novelty?.cause).toBe('brightness')
      const photos = join(projectRoot, 'models/photos')
      for (const name of readdirSync(photos)
        .filter((file) => file.endsWith('.jpg'))
        .slice(0, 3)) {
        const outcome = await classifier.classify(frameOf(await decodeFile(join(photos, name))))
        expect(outcome.ok && outcome.prediction.novelty?.cause, name).not.toBeNull()
      }
    } finally {
      await classifier.close()
    }
  })

  it('has heat maps whose mean is the logit without its bias, and whose focus lies on the bar', async () => {
    const classifier = await openClassifier({ model: output, threads: 1, heat: true })
    try {
      const outcome = await classifier.classify(frameOf(await decodeFile(await gate('open', 'hot'))))
      if (!outcome.ok || !('heat' in classifier.heat)) throw new Error('no heat map')
      for (const [state, logit] of outcome.prediction.logits.entries()) {
        const { values } = classifier.heat.heat(state)
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length
        expect(mean).toBeCloseTo(logit - taught.head.bias[state]!, 3)
      }
      expect(focusOf(classifier.heat.heat(0))!.x).toBeLessThan(0.3)
    } finally {
      await classifier.close()
      rmSync(join(folder, 'open', 'hot.png'))
    }
  })

  it('is the same file when it is taught again', async () => {
    const again = await teach({ model, states, engine })
    expect(Buffer.from(again.bytes).equals(Buffer.from(taught.bytes))).toBe(true)
  })

  it('has a report with left-out accuracy', () => {
    expect(taught.report).toMatchObject({ pictures: { open: 8, closed: 8 }, accuracy: 1, weakest: null, doubts: [] })
    expect(taught.report.interval![0]).toBeLessThan(1)
  })

  it('names the picture that lies in the wrong folder', async () => {
    const wrong = new Map([
      ['open', [...states.get('open')!, await gate('closed', 'misfiled')]],
      ['closed', states.get('closed')!],
    ])
    const { report, files } = await teach({ model, states: wrong, engine })
    expect(report.doubts.map(({ picture, called }) => [files[picture], called])).toEqual([
      [join(folder, 'closed', 'misfiled.png'), 'closed'],
    ])
  })

  it('has no limits where a state has one picture', async () => {
    const few = new Map([...states].map(([state, files]) => [state, files.slice(0, 1)]))
    const { head, report } = await teach({ model, states: few, engine })
    expect(head.limits).toBeNull()
    expect(report.accuracy).toBeNull()
  })
})

describe('gapcam teach', () => {
  const command = async (...args: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> => {
    const run = launch(process.execPath, [join(projectRoot, 'dist/cli/main.js'), 'teach', ...args])
    const status = await run.ended
    return { status, stdout: run.stdout(), stderr: run.stderr() }
  }
  const small = ['--model', model, '--input-size', '32', '--threads', '1']
  const both = ['--state', `open=${folder}/open`, '--state', `closed=${folder}/closed`]

  it('writes a model and reports in JSON; a broken picture is told and left out', async () => {
    writeFileSync(join(folder, 'open', 'broken.png'), 'no picture')
    const file = join(folder, 'made', 'gate.onnx')
    const { status, stdout, stderr } = await command('gate', ...both, ...small, '--json', '-o', file)
    rmSync(join(folder, 'open', 'broken.png'))
    expect(status, stderr).toBe(0)
    expect(stderr).toContain('broken.png')
    expect(JSON.parse(stdout)).toMatchObject({ name: 'gate', output: file })
  })

  it.each([
    ['one state', ['gate', '--state', `open=${folder}/open`], /one state cannot be told/],
    ['a reserved name', ['fit', 'undo', ...both], /undo cannot be the name/],
    ['a name like a path', ['../gate', ...both], /cannot be the name/],
    ['a state named unknown', ['gate', ...both, '--state', `unknown=${folder}/open`], /expected LABEL=DIR/],
    ['a state without a folder', ['gate', ...both, '--state', 'ajar'], /expected LABEL=DIR/],
    ['an empty folder', ['gate', ...both, '--state', `ajar=${folder}/made`], /there are no pictures/],
    [
      'a zone beside a file',
      ['gate', ...both, '--zone', 'cam0/gate', '-o', 'gate.onnx'],
      /--zone needs a head that is kept/,
    ],
    ['an import without states', ['import', 'gate', `${folder}/made`], /no state was given/],
    [
      'a picture under two states',
      ['gate', ...both, '--state', `ajar=${folder}/open`],
      /same picture under two states/,
    ],
  ])('%s is refused', async (_, args, sentence) => {
    mkdirSync(join(folder, 'made'), { recursive: true })
    const { status, stderr } = await command(...args, ...small)
    expect(status).not.toBe(0)
    expect(stderr).toMatch(sentence)
  })

  const state = join(folder, 'state')
  const kept = [...small, '--set', `stateDir=${state}`]
  const heads = async (): Promise<unknown> => JSON.parse((await command('list', ...kept, '--json')).stdout)

  it('keeps a head with its pictures, tests it, undoes, exports, imports and removes it', async () => {
    const first = await command('gate', ...both, ...kept)
    expect(first.status, first.stderr).toBe(0)
    const all = readdirSync(join(folder, 'open')).length + readdirSync(join(folder, 'closed')).length
    expect(JSON.parse(first.stdout)).toMatchObject({
      output: `${state}/gapcam/taught/gate.onnx`,
      accuracy: 1,
      novelty: { distance: expect.any(Number) as number },
    })
    const classifier = await openClassifier({ model: `${state}/gapcam/taught/gate.onnx`, threads: 1 })
    expect(classifier.labels).toEqual(['open', 'closed'])
    await classifier.close()
    expect(await heads()).toMatchObject([{ name: 'gate', states: ['open', 'closed'], pictures: all, accuracy: 1 }])
    const photos = ['--none', join(projectRoot, 'models/photos')]
    const test = await command('test', 'gate', ...both, ...photos, ...kept, '--json')
    const tried = JSON.parse(test.stdout) as { pictures: number; right: number; confusion: Record<string, object> }
    const strangers = tried.pictures - all
    expect(tried).toMatchObject({ right: tried.pictures, confusion: { unknown: { unknown: strangers } } })
    expect(strangers).toBeGreaterThan(0)
    const typo = await command(
      'test',
      'gate',
      ...both,
      '--state',
      `opne=${join(projectRoot, 'models/photos')}`,
      ...kept,
    )
    expect([typo.status, typo.stderr]).toEqual([2, expect.stringContaining('head gate has no state opne')])
    mkdirSync(join(folder, 'ajar'), { recursive: true })
    await gate('ajar', 'a')
    await gate('ajar', 'b')
    expect((await command('fit', 'gate', ...both, '--state', `ajar=${folder}/ajar`, ...kept)).status).toBe(0)
    expect(await heads()).toMatchObject([{ states: ['open', 'closed', 'ajar'], pictures: all + 2 }])
    expect((await command('undo', 'gate', ...kept)).stdout).toContain(`open, closed, ${all} pictures`)
    const output = join(folder, 'exported')
    expect((await command('export', 'gate', '-o', output, ...kept)).status).toBe(0)
    expect(readdirSync(output).sort()).toEqual(['closed', 'gate.onnx', 'open'])
    const copy = join(folder, 'copy.onnx')
    expect((await command('import', 'copy', output, '-o', copy, ...kept)).stdout).toContain(`"output":"${copy}"`)
    expect(existsSync(copy)).toBe(true)
    expect((await command('remove', 'gate', ...kept)).status).toBe(0)
    expect(await heads()).toMatchObject([{ name: 'copy', states: ['closed', 'open'], pictures: all }])
    const gone = await command('undo', 'gate', ...kept)
    expect([gone.status, gone.stderr]).toEqual([2, expect.stringContaining('there is no taught head gate')])
  }, 600_000)
})
