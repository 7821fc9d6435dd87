/** /metrics of a real run: valid OpenMetrics, with every metric that the Grafana dashboard in docs uses. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

interface Panel {
  readonly targets?: readonly { readonly expr: string }[]
}

let text: string
let type: string | null
beforeAll(async () => {
  const run = gapcam(['run', 'test://', '--json', '--set', 'page.port=0', '--set', 'mqtt.port=0'])
  const [, url] = await run.until(/^page {5}(\S+)$/m)
  await run.until(/"label":/)
  const response = await fetch(`${url}/metrics`)
  type = response.headers.get('content-type')
  text = await response.text()
})
afterAll(endAll)

const families = (): Map<string, string> =>
  new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name!, kind!]))
const series = (): Set<string> =>
  new Set([...text.matchAll(/^([a-z_]+)(?:\{[^}]*\})? -?[\d.e+-]+$/gm)].map(([, name]) => name!))

it('the text is valid OpenMetrics: typed families, counters that end in _total, and the end mark', () => {
  expect(type).toMatch(/^application\/openmetrics-text; version=1\.0\.0/)
  expect(text.endsWith('# EOF\n')).toBe(true)
  for (const [name, kind] of families()) {
    expect(['gauge', 'counter'], name).toContain(kind)
    if (kind === 'counter') expect(name.endsWith('_total'), `${name}: its family has no suffix`).toBe(false)
  }
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(
      /^(# (TYPE|HELP|UNIT|EOF).*|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[\d.]+(e[+-]?\d+)?)$/,
    )
})

it('frames are counted by camera', () => {
  expect(Number(/^gapcam_frames_total\{camera="cam0"\} (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0)
  expect(text).toMatch(/^gapcam_camera_up\{camera="cam0"\} 1$/m)
  expect(text).toMatch(/^gapcam_stage_seconds\{stage="infer",quantile="0\.95"\} 0\.\d+/m)
})

it('every metric of the dashboard exists', () => {
  const { panels, templating } = JSON.parse(readFileSync(join(projectRoot, 'docs/grafana-dashboard.json'), 'utf8')) as {
    panels: Panel[]
    templating: { list: { query: string }[] }
  }
  const queries = [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...templating.list.map(({ query }) => query),
  ]
  const names = new Set(queries.flatMap((query) => query.match(/\b(gapcam|process)_[a-z_]+/g) ?? []))
  expect(names.size).toBeGreaterThan(12)
  // A machine without sensors has no values of these families; the families themselves exist.
  const sensors = new Set([...families().keys()].filter((name) => name.startsWith('gapcam_soc_')))
  expect([...names].filter((name) => !series().has(name) && !sensors.has(name))).toEqual([])
})
