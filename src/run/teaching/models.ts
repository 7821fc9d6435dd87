/**
 * The networks that heads are taught on, each open while a zone uses a head of it or is taught, and the heads that they serve. Heads
 * over pictures are of the node's network; one over clips may have another. All heads of a network share its memory and take turns
 * on the engine with the zones.
 */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Classifier } from '../../classifier.js'
import { modelOptions } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import type { ClipOptions, Task } from '../../decision/task.js'
import type { EngineOptions } from '../../engine/engine.js'
import { GapcamError } from '../../errors.js'
import { writeWhole } from '../../state-file.js'
import { headsFolder, nameFault } from '../../teach/names.js'
import { openHeadStore } from '../../teach/store.js'
import type { OrdinaryVectors } from '../../teach/ordinary-looks.js'
import { openTeacher, type Teacher } from '../../teach/teacher.js'
import type { EngineTurns } from '../../zone/zone-options.js'

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

/** What is wanted of a head. Default: what the node's own model is asked. */
export interface HeadWish {
  readonly task?: Task | undefined
  readonly clip?: ClipOptions | undefined
}

/** The taught heads of a node. */
export interface TaughtModels {
  /** Null: there is no state directory, so nothing can be taught. */
  readonly stateFolder: string | null
  /** Opens a network for teaching; without a path the node's. Rejects with MODEL_UNSUPPORTED where it cannot be taught. */
  teacher(path?: string): Promise<TeacherLease>
  /** Whether a head serves under a name. */
  has(name: string): Promise<boolean>
  /**
   * The head that serves under a name; null where there is none of that name. With the task `video` one over pictures looks at clips,
   * too. Rejects with HEAD_INVALID and MODEL_*.
   */
  lease(name: string, wish?: HeadWish): Promise<HeadLease | null>
  /** From now on the network runs in turns of the engine. */
  useTurns(turns: EngineTurns): void
  close(): Promise<void>
}

interface Open {
  readonly opening: Promise<Teacher>
  leases: number
}

/** The taught heads in a state directory; `ownSha256` is the digest of the node's network. */
export function openTaughtModels(config: Config, ownSha256: string, stateFolder: string | null): TaughtModels {
  const open = new Map<string, Open>()
  const ownPath = resolve(modelOptions(config).model)
  let turns: EngineTurns | null = null

  async function release(path: string, entry: Open): Promise<void> {
    entry.leases--
    if (entry.leases > 0) return
    if (open.get(path) === entry) open.delete(path)
    await (await entry.opening.catch(() => null))?.close()
  }

  async function leaseTeacher(path = ownPath): Promise<TeacherLease> {
    const { threads, inputSize } = modelOptions(config)
    const engine = { threads, inputSize: path === ownPath ? inputSize : undefined }
    const entry = open.get(path) ?? { leases: 0, opening: openNetwork(path, engine, stateFolder, () => turns) }
    open.set(path, entry)
    entry.leases++
    try {
      const teacher = await entry.opening
      return { teacher, release: once(() => release(path, entry)) }
    } catch (error) {
      await release(path, entry)
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
    async lease(name, { task = config.task, clip = config.video } = {}) {
      const found = await find(name)
      if (!found) return null
      const { store, served } = found
      // A file that was moved is still the node's network.
      const lease = await leaseTeacher(served.model.sha256 === ownSha256 ? undefined : served.model.path)
      const { teacher } = lease
      try {
        if (teacher.model.sha256 !== served.model.sha256)
          throw new GapcamError(
            'HEAD_INVALID',
            `head ${name} was taught on ${served.model.name}, and ${served.model.path ? `another network lies at ${served.model.path}` : `the node's model is ${teacher.model.name}`}`,
            { hint: `Run gapcam teach fit ${name}: it teaches its pictures to the model that is there now.` },
          )
        const over = teacher.clip || task === 'video' ? (clip ?? {}) : undefined
        const classifier = await teacher.serve(store.headFile(served.head), name, over)
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
      const last = [...open.values()]
      open.clear()
      for (const { opening } of last) await (await opening.catch(() => null))?.close()
    },
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null
  return () => (done ??= work())
}

function openNetwork(
  model: string,
  engine: Pick<EngineOptions, 'threads' | 'inputSize'>,
  stateFolder: string | null,
  turns: () => EngineTurns | null,
): Promise<Teacher> {
  return openTeacher({
    model,
    engine,
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
