/**
 * "This is wrong": pictures that a person reported as misjudged, kept with everything that was computed from them, to
 * train the next model. A report is two files, NAME.png and NAME.json, in one folder. The folder is bounded: the oldest
 * reports are deleted first.
 */
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadSharp } from '../pixels/sharp.js'
import { messageOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import type { Picture } from '../zone/picture.js'
import type { Report } from './messages.js'
import { ApiError } from './route.js'

/** What a report holds beside the picture. */
export interface ReportNote {
  readonly camera: string
  readonly note: string
  /** Whether the picture is the one that the person saw. */
  readonly isExact: boolean
  /** Model, engine, settings and policy. */
  readonly about: Readonly<Record<string, unknown>>
}

export interface Reports {
  /** Rejects with an ApiError (507) when the files cannot be written. */
  keep(picture: Picture, note: ReportNote): Promise<Report>
  /** Newest first. Damaged reports are left out. */
  list(): Promise<Report[]>
  /** One file of a report; null where it does not exist. */
  file(name: string, kind: Kind): Promise<Buffer | null>
}

type Kind = 'png' | 'json'

/** The size that the folder may reach. */
export interface ReportBounds {
  readonly reports: number
  readonly bytes: number
}

const defaultBounds: ReportBounds = { reports: 200, bytes: 200 << 20 }

/** The only names that are read. None of them leads out of the folder. */
export const reportName = /^[0-9]{8}T[0-9]{9}Z-[a-z0-9-]{1,64}$/

/**
 * The reports in `folder`. The folder is made with the first report.
 *
 *     const reports = createReports('/var/lib/gapcam/reports')
 *     await reports.keep(picture, { camera: 'cam0', note: 'a robin', isExact: true, about: {} })
 */
export function createReports(folder: string, bounds: ReportBounds = defaultBounds): Reports {
  return {
    async keep(picture, note) {
      const report = reportOf(picture, note)
      try {
        await makeFolder(folder)
        await writeWhole(pathOf(folder, report.name, 'png'), await pngOf(picture))
        await writeWhole(pathOf(folder, report.name, 'json'), jsonOf(report, picture, note))
        await makeRoom(folder, bounds)
      } catch (error) {
        await rm(pathOf(folder, report.name, 'png'), { force: true }).catch(() => undefined)
        throw notKept(folder, error)
      }
      return report
    },
    async list() {
      const names = (await namesIn(folder)).reverse()
      const reports = await Promise.all(names.map((name) => readReport(folder, name)))
      return reports.filter((report) => report !== null)
    },
    async file(name, kind) {
      if (!reportName.test(name)) return null
      return readFile(pathOf(folder, name, kind)).catch(() => null)
    },
  }
}

const pathOf = (folder: string, name: string, kind: Kind): string => join(folder, `${name}.${kind}`)

function reportOf({ decision: { label, score } }: Picture, { camera, note, isExact }: ReportNote): Report {
  const atMs = Date.now()
  const name = `${new Date(atMs).toISOString().replace(/[-:.]/g, '')}-${camera}`
  return { name, camera, atMs, label, score, note, isExact }
}

async function pngOf({ rgb, width, height }: Picture): Promise<Buffer> {
  const sharp = await loadSharp()
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

function jsonOf(report: Report, picture: Picture, { about }: ReportNote): string {
  const { prediction, decision, shown, seq, wallTime, width, height } = picture
  const frame = { seq, capturedMs: wallTime, width, height, shown }
  // The labels are in the model, and the scores follow from the logits.
  const computed = prediction && {
    ...prediction,
    labels: undefined,
    scores: undefined,
    logits: [...prediction.logits],
  }
  return `${JSON.stringify({ v: 1, ...report, frame, decision, prediction: computed, ...about }, null, 1)}\n`
}

/** Writes a file completely or not at all. */
async function writeWhole(path: string, bytes: Buffer | string): Promise<void> {
  const temporary = `${path}.tmp`
  try {
    await writeFile(temporary, bytes, { flush: true })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}

/** Names of the complete reports, oldest first. The JSON file is written last, so it marks a complete report. */
async function namesIn(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch(() => [] as string[])
  return files
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .filter((name) => reportName.test(name))
    .sort()
}

/** Null for a report that is damaged, or that was deleted since its name was listed. */
async function readReport(folder: string, name: string): Promise<Report | null> {
  try {
    const text = await readFile(pathOf(folder, name, 'json'), 'utf8')
    const { camera, atMs, label, score, note, isExact } = JSON.parse(text) as Report
    return { name, camera, atMs, label, score, note, isExact }
  } catch {
    return null
  }
}

/** Deletes the oldest reports until the folder is within its bounds. */
async function makeRoom(folder: string, bounds: ReportBounds): Promise<void> {
  const names = await namesIn(folder)
  const sizes = await Promise.all(names.map((name) => bytesOf(folder, name)))
  let count = names.length
  let bytes = sizes.reduce((sum, size) => sum + size, 0)
  for (const [i, name] of names.entries()) {
    if (count <= bounds.reports && bytes <= bounds.bytes) return
    for (const kind of ['json', 'png'] as const) await rm(pathOf(folder, name, kind), { force: true })
    count--
    bytes -= sizes[i]!
  }
}

async function bytesOf(folder: string, name: string): Promise<number> {
  const sizeOf = (kind: Kind): Promise<number> =>
    stat(pathOf(folder, name, kind)).then(
      ({ size }) => size,
      () => 0,
    )
  return (await sizeOf('png')) + (await sizeOf('json'))
}

function notKept(folder: string, error: unknown): ApiError {
  const { code } = error as NodeJS.ErrnoException
  const hint =
    code === 'ENOSPC'
      ? 'Free some space, or set stateDir to a folder on a larger disk.'
      : 'Make the folder writable for the user that runs gapcam, or set stateDir to another folder.'
  return new ApiError(507, 'REPORT_NOT_KEPT', `the picture could not be saved in ${folder}: ${messageOf(error)}`, hint)
}
