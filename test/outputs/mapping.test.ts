/** Templates of outputs: what they make, how an error in one is told, and what is used in its place. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { eventFieldNames } from '../../src/outputs/fields.js'
import { acceptPoint, checkPointTemplate, lineOf } from '../../src/outputs/influx.js'
import { openMapping } from '../../src/outputs/mapping.js'
import { parseTemplate } from '../../src/outputs/template.js'
import { eventPayload, gapPayload } from '../../src/publish/payloads.js'
import { decision, prediction, recordingLog } from '../publish/fixture.js'
import { cleanUp, temporaryFolder } from '../publish/mosquitto.js'

afterEach(cleanUp)

const names = ['place', 'label', 'score', 'reason', 'top']
const fields = { place: 'cam0', label: 'open', score: 0.9712, top: [{ label: 'open' }, { label: 'closed' }] }

function faultOf(text: string, check?: (document: unknown) => void): string {
  try {
    parseTemplate(text, names, check)
  } catch (error) {
    return (error as Error).message.split('\n')[0]!
  }
  return 'none'
}

describe('a template', () => {
  it('keeps the type of a value that stands alone, and makes text of one among text', () => {
    const template = parseTemplate(
      'text: "{{place}}: {{ label }} ({{score}})"\nscore: "{{score}}"\nlist: ["{{top.1.label}}", 7, null, true]\nall: "{{top}}"',
      names,
    )
    expect(template(fields)).toEqual({
      ...{ text: 'cam0: open (0.9712)', score: 0.9712, list: ['closed', 7, null, true] },
      all: fields.top,
    })
  })

  it('leaves out a key whose field is absent, and puts nothing for it among text', () => {
    const template = parseTemplate('why: "{{reason}}"\ntext: "because: {{reason}}"', names)
    expect(template(fields)).toEqual({ text: 'because: ' })
  })

  it('looks values up and scales them', () => {
    const template = parseTemplate(
      'state: { $value: "{{label}}", $map: { open: 1, closed: 0 }, $else: -1 }\npercent: { $value: "{{score}}", $times: 100, $round: 1 }',
      names,
    )
    expect(template(fields)).toEqual({ state: 1, percent: 97.1 })
    expect(template({ ...fields, label: 'ajar' })).toEqual({ state: -1, percent: 97.1 })
  })

  it('never reads what an object has by its kind', () => {
    const template = parseTemplate('a: "{{label.length}}"\nb: "{{top.length}}"\nc: "{{top.constructor.name}}"', names)
    expect(template({ ...fields, top: {} })).toEqual({})
  })

  it.each([
    ['a: "{{lable}}"', 'a has {{lable}}, which no field has; the fields are place, label, score, reason, top'],
    ['a: "{{label"', 'a has a placeholder that is not like {{label}}: "{{label"'],
    ['a: "{{label | upper}}"', 'a has a placeholder that is not like {{label}}: "{{label | upper}}"'],
    ['a: [1, {b: "{{#each}}"}]', 'a.1.b has a placeholder that is not like {{label}}: "{{#each}}"'],
    ['a: { $value: "{{label}}", $maps: {} }', /^a has \$maps beside a key with \$/],
    ['a: { $map: {} }', 'a has no $value'],
    ['a: { $value: 1, $else: 2 }', 'a has $else without $map'],
    ['a: { $value: 1, $times: x }', 'a.$times must be a number'],
    ['a: { $value: 1, $round: 2.5 }', 'a.$round must be a number of decimal places, 0 to 10'],
    ['', 'it is empty'],
    ['a: [1', /^Flow sequence in block collection must be/],
    [`a: ${'['.repeat(20)}${']'.repeat(20)}`, /is more than 16 levels deep$/],
    ['x'.repeat(70_000), 'it is larger than 64 KiB'],
  ])('with an error is told where: %.60s', (text, message) => {
    expect(faultOf(text)).toMatch(message)
  })

  it('may name every field that an event or a gap record has', () => {
    const stamp = { wallMs: 1, boot: 'b', seq: 1, isClockSynced: true }
    const times = { inStateMs: 1, hour: {}, day: {} }
    const event = eventPayload(
      stamp,
      { decision: { ...decision('ajar'), detail: 'why', times }, sinceWallMs: 1, prediction: prediction() },
      'label_changed',
    )
    const gap = gapPayload(stamp, { from: 1, to: 2, missing: 2 })
    const used = [event, gap].flatMap((text) => Object.keys(JSON.parse(text) as object))
    expect(used.filter((name) => !eventFieldNames.includes(name))).toEqual([])
  })
})

describe('a template of points', () => {
  it('makes a line, without fields that are absent', () => {
    const template = parseTemplate(
      'measurement: gate\ntags: { where: "{{place}}" }\nfields: { open: { $value: "{{label}}", $map: { open: true }, $else: false }, why: "{{reason}}" }',
      names,
      checkPointTemplate,
    )
    expect(lineOf(acceptPoint(template(fields)), { wallMs: 5, seq: 7 })).toBe('gate,where=cam0 open=true 5000007')
  })

  it('of another shape, or without any field, is an error', () => {
    expect(faultOf('fields: { a: 1 }\ntime: 5', checkPointTemplate)).toBe(
      'the document has time; a point has measurement, tags, fields',
    )
    expect(faultOf('measurement: gate', checkPointTemplate)).toMatch(/no fields/)
    expect(() => acceptPoint({ fields: {} })).toThrow('fields are all absent')
    expect(() => acceptPoint({ fields: { a: [1] } })).toThrow('fields.a must be a number, a text, true or false')
  })
})

describe('the template file of an output', () => {
  function open(text: string) {
    const file = join(temporaryFolder(), 'template.yaml')
    writeFileSync(file, text)
    const { lines, log } = recordingLog()
    const time = { ms: 0 }
    const mapping = openMapping({
      ...{ key: 'webhook.templateFile', file, names, log, clock: { now: () => time.ms, wall: () => 0 } },
      accept: (made) => JSON.stringify(made),
      plain: () => 'plain',
    })
    /** Changes the file; it is looked at again a second later. */
    const rewrite = (changed: string | null): void => {
      if (changed === null) rmSync(file)
      else writeFileSync(file, changed)
      time.ms += 1000
    }
    return { file, mapping, lines, rewrite }
  }
  const warnings = (lines: ReturnType<typeof open>['lines']): string[] =>
    lines.filter(({ level }) => level === 'warn').map(({ message }) => message)

  it('with an error is refused at the start, with file and place', () => {
    expect(() => open('a: "{{lable}}"')).toThrow(/^webhook\.templateFile: .*template\.yaml: a has \{\{lable\}\}/)
    expect(() => open('a: [')).toThrow(/^webhook\.templateFile: /)
  })

  it('that is not there is refused at the start', () => {
    const options = { key: 'k', file: '/nowhere/t.yaml', names, log: recordingLog().log }
    expect(() => openMapping({ ...options, accept: () => '', plain: () => '' })).toThrow(
      /^k: \/nowhere\/t\.yaml: it cannot be read/,
    )
  })

  it('is used anew when it changes', () => {
    const { mapping, rewrite } = open('"{{label}}"')
    expect(mapping(fields)).toBe('"open"')
    rewrite('"{{place}}"')
    expect(mapping(fields)).toBe('"cam0"')
    expect(mapping.faults()).toBe(0)
  })

  it('that changes into one with an error, or is gone, leaves the last good one in use, told and counted once', () => {
    const { file, mapping, lines, rewrite } = open('"{{label}}"')
    for (const changed of ['"{{lable}}"', null]) {
      rewrite(changed)
      expect([mapping(fields), mapping(fields)]).toEqual(['"open"', '"open"'])
    }
    expect(warnings(lines)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^webhook.templateFile: ${file} has changed: the document has {{lable}}.*; the one before stays in use$`,
        ),
      ),
      expect.stringMatching(/has changed: it cannot be read.*; the one before stays in use$/),
    ])
    expect(mapping.faults()).toBe(2)
    rewrite('"back: {{label}}"')
    expect(mapping(fields)).toBe('"back: open"')
  })

  it('that has no result for an event gives way to the last good one for it, told once and counted each time', () => {
    const { mapping, lines, rewrite } = open('"{{label}}"')
    expect(mapping(fields)).toBe('"open"')
    rewrite('{ $value: "{{label}}", $map: { closed: 0 } }')
    expect([mapping(fields), mapping(fields)]).toEqual(['"open"', '"open"'])
    expect(mapping({ ...fields, label: 'closed' })).toBe('0')
    expect(warnings(lines)).toEqual([
      expect.stringMatching(/has no case for "open"; the last good one is used instead$/),
    ])
    expect(mapping.faults()).toBe(2)
  })

  it('that never had a result gives way to the form without a template', () => {
    const { mapping, lines } = open('{ $value: "{{label}}", $times: 2 }')
    expect(mapping(fields)).toBe('plain')
    expect(warnings(lines)).toEqual([
      expect.stringMatching(/needs a number and has "open"; the form without a template is used instead$/),
    ])
  })
})
