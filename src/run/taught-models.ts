/**
 * The network that heads are taught on, open while a zone uses a taught head or is taught, and the heads that it serves.
 * All of them share its memory and take turns on the engine with the zones.
 */
import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import type { Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import type { ClipOptions } from '../decision/task.js'
import { GapcamError } from '../errors.js'
import { writeWhole } from '../state-file.js'
import { headsFolder, nameFault } from '../teach/names.js'
import { openHeadStore } from '../teach/store.js'
import { openTeacher, type OrdinaryVectors, type Teacher } from '../teach/teacher.js'
import type { EngineTurns } from '../zone/zone-options.js'

/** A teacher in use. Release it when it is not needed any more. */
export interface TeacherLease {
  readonly teacher: Teacher
  release(): Promise<void>
}

/** A taught head in use. */
interface HeadLease {
  readonly classifier: Classifier
  release(): Promise<void>
}

/** The taught heads of a node. */
export interface TaughtModels {
  /** Null: there is no state directory, so nothing can be taught. */
  readonly stateFolder: string | null
  /** Opens the node's network for teaching. Rejects with MODEL_UNSUPPORTED where it cannot be taught. */
  teacher(): Promise<TeacherLease>
  /** Whether a head serves under a name. */
  has(name: string): Promise<boolean>
  /**
   * The head that serves under a name; null where there is none of that name. With `clip` it looks at clips. Rejects with
   * HEAD_INVALID and MODEL_*.
   */
  lease(name: string, clip?: ClipOptions): Promise<HeadLease | null>
  /** From now on the network runs in turns of the engine. */
  useTurns(turns: EngineTurns): void
  close(): Promise<void>
}

interface Open {
  readonly opening: Promise<Teacher>
  leases: number
}

/** The taught heads in a state directory. */
export function openTaughtModels(config: Config, stateFolder: string | null): TaughtModels {
  let open: Open | null = null
  let turns: EngineTurns | null = null

  async function release(entry: Open): Promise<void> {
    entry.leases--
    if (entry.leases > 0) return
    if (open === entry) open = null
    await (await entry.opening.catch(() => null))?.close()
  }

  async function leaseTeacher(): Promise<TeacherLease> {
    const entry = (open ??= { leases: 0, opening: openNetwork(config, stateFolder, () => turns) })
    entry.leases++
    try {
      const teacher = await entry.opening
      return { teacher, release: once(() => release(entry)) }
    } catch (error) {
      await release(entry)
      throw error
    }
  }

  async function find(name: string) {
    if (stateFolder === null || nameFault(name) !== null) return null
    const store = await openHeadStore(stateFolder, name)
    const { served } = store.record
    return served ? { store, served } : null
  }

  return {
    stateFolder,
    teacher: leaseTeacher,
    has: async (name) => (await find(name)) !== null,
    async lease(name, clip) {
      const found = await find(name)
      if (!found) return null
      const { store, served } = found
      const lease = await leaseTeacher()
      try {
        if (lease.teacher.model.sha256 !== served.model.sha256)
          throw new GapcamError(
            'HEAD_INVALID',
            `head ${name} was taught on ${served.model.name}, and the node's model is ${lease.teacher.model.name}`,
            { hint: `Run gapcam teach fit ${name}: it teaches its pictures to the model that is there now.` },
          )
        const classifier = await lease.teacher.serve(store.headFile(served.head), name, clip)
        return {
          classifier,
          release: once(async () => {
            await classifier.close()
            await lease.release()
          }),
        }
      } catch (error) {
        await lease.release()
        throw error
      }
    },
    useTurns(given) {
      turns = given
    },
    async close() {
      const last = open
      open = null
      await (await last?.opening.catch(() => null))?.close()
    },
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null
  return () => (done ??= work())
}

function openNetwork(config: Config, stateFolder: string | null, turns: () => EngineTurns | null): Promise<Teacher> {
  const { model, threads, inputSize } = modelOptions(config)
  return openTeacher({
    model,
    engine: { threads, inputSize },
    ordinary: stateFolder === null ? undefined : ordinaryIn(stateFolder),
    async turn(work) {
      const now = turns()
      // Teaching waits behind all zones that want to look; its turn is never too late.
      return now ? (await now.take(work, { lastMs: performance.now(), untilMs: Infinity }))! : work()
    },
  })
}

/** Vectors of ordinary pictures, kept beside the heads. */
export function ordinaryIn(stateFolder: string): OrdinaryVectors {
  const fileOf = (network: string): string => join(headsFolder(stateFolder), `ordinary.${network}`)
  return {
    async read(network, count) {
      const bytes = await readFile(fileOf(network)).catch(() => null)
      if (bytes?.length !== count * 4) return null
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
    },
    keep: (network, values) =>
      writeWhole(fileOf(network), new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  }
}
