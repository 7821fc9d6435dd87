/** Review over the page's API, on a node that runs: collect, group, label, report, export. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import type { ReviewGroups as Groups, ReviewState as State } from '../../src/server/review-messages.js'
import { endAll, gapcam } from '../process.js'
import { until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { startPage } from './running.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-review-api-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
afterEach(endAll)

it('collects only when it is switched on, labels a group by one click, and forgets', { timeout: 60_000 }, async () => {
  const state = join(root, 'state')
  const page = await startPage([
    join(projectRoot, 'models/photos'),
    ...['--loop', '--fps', '4', '--set', `stateDir=${state}`, '--set', 'collector.perMinute=60'],
    ...['--set', 'policy.consecutive=1', '--set', 'policy.smoothingMs=0'],
  ])
  const read = async <T>(path: string): Promise<T> => (await (await page.get(path)).json()) as T
  expect(await read<State>('/api/review')).toMatchObject({ isOn: false, pictures: 0, labels: [], fault: null })
  expect((await page.write('PUT', '/api/review/collector', { value: true })).status).toBe(200)
  await until(async () => (await read<State>('/api/review')).pictures >= 3, 'three pictures', 30_000)
  await page.write('PUT', '/api/review/collector', { value: false })
  const { groups } = await read<Groups>('/api/review/groups')
  const [group] = groups
  const members = group!.pictures.flat()
  expect(members[0]).toMatchObject({ zone: 'cam0', label: null })
  const picture = await page.get(`/api/review/pictures/${members[0]!.name}`)
  expect(picture.headers.get('content-type')).toBe('image/jpeg')
  expect(await (await page.write('POST', `/api/review/groups/${group!.id}/label`, { label: 'bird' })).json()).toEqual({
    pictures: members.length,
  })
  const archive = await page.get('/api/review/labelled.zip')
  expect(archive.headers.get('content-type')).toBe('application/zip')
  const bytes = Buffer.from(await archive.arrayBuffer())
  expect(bytes.toString('latin1', 0, 4)).toBe('PK\x03\x04')
  expect(bytes.includes(`bird/${members[0]!.name}.jpg`)).toBe(true)
  const changed = await page.write('POST', `/api/review/groups/${'0'.repeat(16)}/label`, { label: 'bird' })
  expect(changed.status).toBe(409)
  expect((await page.write('POST', '/api/review/label', { pictures: ['../x'], label: 'a' })).status).toBe(400)
  expect((await page.write('POST', '/api/review/label', { pictures: [members[0]!.name], label: 'a/b' })).status).toBe(
    400,
  )

  const reported = await page.write('POST', '/api/cameras/cam0/reports', { label: 'no bird', zone: undefined })
  expect(reported.status, await reported.clone().text()).toBe(200)
  const wrong = await read<{ why: string; label: string }[]>('/api/review/pictures?label=no%20bird')
  expect(wrong).toMatchObject([{ why: 'reported', label: 'no bird' }])

  // What was labelled is taught to the zone; the same again adds nothing, and a corrected label moves its picture.
  const reviewed = (body = {}): Promise<Response> => page.write('POST', '/api/teach/cam0/reviewed', body)
  expect((await page.write('POST', '/api/teach/cam0%2Fno/reviewed', {})).status).toBe(400)
  const { added, known } = (await (await reviewed()).json()) as { added: number; known: number }
  expect(known).toBe(0)
  expect(added).toBeGreaterThanOrEqual(2)
  expect(await (await reviewed()).json()).toEqual({ added: 0, known: added })
  const [{ name: corrected }] = await read<[{ name: string }]>('/api/review/pictures?label=no%20bird')
  await page.write('POST', '/api/review/label', { pictures: [corrected], label: 'a fly' })
  expect(await (await reviewed({ pictures: [corrected] })).json()).toEqual({ added: 1, known: 0 })
  const { states } = await read<{ states: { state: string; pictures: number }[] }>('/api/teach/cam0')
  expect(states).toContainEqual({ state: 'a fly', pictures: 1 })
  expect(states.map(({ state: name }) => name)).not.toContain('no bird')
  await page.write('POST', '/api/review/label', { pictures: [corrected], label: 'no bird' })

  const run = gapcam(['review', 'export', join(root, 'out'), '--set', `stateDir=${state}`])
  expect(await run.ended, run.stderr()).toBe(0)
  expect(readdirSync(join(root, 'out')).sort()).toEqual(['bird', 'no bird'])
  expect(readdirSync(join(root, 'out', 'bird'))).toHaveLength(members.length)
  await page.write('POST', '/api/review/discard', { pictures: members.map(({ name }) => name) })
  expect((await read<State>('/api/review')).labels).toEqual(['no bird'])
})
