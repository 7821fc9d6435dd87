/**
 * "This is wrong": frames that a person found judged wrongly, kept with what was computed, for whoever trains the next
 * model. Two files a report, NAME.png and NAME.json, in a bounded folder: the oldest make room.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadSharp } from '../pixels/sharp.js'
import { messageOf } from '../errors.js'
import type { Picture } from '../run/picture.js'
import type { Report } from './messages.js'
import { ApiError } from './route.js'

export interface ReportNote {
  readonly camera: string
  readonly note: string
  readonly isExact: boolean
  /** What else belongs to it: model, engine, policy. */
  readonly about: Readonly<Record<string, unknown>>
}

export interface Reports {
  /** Rejects with an ApiError (507) when there is no room. */
  keep(picture: Picture, note: ReportNote): Promise<Report>
  /** Newest first. */
  list(): Promise<Report[]>
  /** One of the two files; null where there is none of that name. */
  file(name: string, kind: 'png' | 'json'): Promise<Buffer | null>
}

const bounds = { reports: 200, bytes: 200 << 20 }
/** The only names that are read: none leads out of the folder. */
export const reportName = /^[0-9]{8}T[0-9]{9}Z-[a-z0-9-]{1,64}$/

export function createReports(
  folder: string,
  { reports: maxReports, bytes: maxBytes }: typeof bounds = bounds,
): Reports {
  const pathOf = (name: string, kind: string): string => join(folder, `${name}.${kind}`)

  /** Names of whole reports, oldest first. */
  async function names(): Promise<string[]> {
    const files = await readdir(folder).catch(() => [] as string[])
    return files
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -'.json'.length))
      .filter((name) => reportName.test(name))
      .sort()
  }

  async function write(name: string, kind: string, bytes: Buffer | string): Promise<void> {
    const temporary = `${pathOf(name, kind)}.tmp`
    try {
      await writeFile(temporary, bytes, { flush: true })
      await rename(temporary, pathOf(name, kind))
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw error
    }
  }

  async function makeRoom(): Promise<void> {
    const all = await names()
    const sizes = await Promise.all(
      all.map(async (name) =>
        (
          await Promise.all(
            ['png', 'json'].map((kind) =>
              stat(pathOf(name, kind)).then(
                ({ size }) => size,
                () => 0,
              ),
            ),
          )
        ).reduce((a, b) => a + b),
      ),
    )
    let [count, bytes] = [all.length, sizes.reduce((a, b) => a + b, 0)]
    for (const [i, name] of all.entries()) {
      if (count <= maxReports && bytes <= maxBytes) return
      for (const kind of ['json', 'png']) await rm(pathOf(name, kind), { force: true })
      count--
      bytes -= sizes[i]!
    }
  }

  return {
    async keep(picture, { camera, note, isExact, about }) {
      const { rgb, width, height, prediction, decision, shown, seq, wallTime } = picture
      const atMs = Date.now()
      const name = `${new Date(atMs).toISOString().replace(/[-:.]/g, '')}-${camera}`
      const report: Report = { name, camera, atMs, label: decision.label, score: decision.score, note, isExact }
      const computed = prediction && {
        ...prediction,
        labels: undefined,
        scores: undefined,
        logits: [...prediction.logits],
      }
      try {
        await mkdir(folder, { recursive: true })
        await write(
          name,
          'png',
          await (await loadSharp())(rgb, { raw: { width, height, channels: 3 } })
            .png()
            .toBuffer(),
        )
        await write(
          name,
          'json',
          `${JSON.stringify({ v: 1, ...report, frame: { seq, capturedMs: wallTime, width, height, shown }, decision, prediction: computed, ...about }, null, 1)}\n`,
        )
        await makeRoom()
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        await rm(pathOf(name, 'png'), { force: true }).catch(() => undefined)
        const hint =
          code === 'ENOSPC'
            ? 'Free some space, or set stateDir to a larger disk.'
            : 'Make the folder writable for the user that runs gapcam, or set stateDir.'
        throw new ApiError(
          507,
          'REPORT_NOT_KEPT',
          `the picture could not be kept in ${folder}: ${messageOf(error)}`,
          hint,
        )
      }
      return report
    },
    async list() {
      const all = await Promise.all(
        (await names()).reverse().map(async (name) => {
          try {
            const { camera, atMs, label, score, note, isExact } = JSON.parse(
              await readFile(pathOf(name, 'json'), 'utf8'),
            ) as Report
            return [{ name, camera, atMs, label, score, note, isExact }]
          } catch {
            return [] // damaged, or made room for the next one meanwhile
          }
        }),
      )
      return all.flat()
    },
    file: (name, kind) =>
      reportName.test(name) ? readFile(pathOf(name, kind)).catch(() => null) : Promise.resolve(null),
  }
}
