// A model of a disk with the interface of the real files (src/publish/outbox/files.ts), whose power can be cut between
// and within any two calls. Synced data survives; of other data any part may survive: each sector of 512 bytes and each
// name in the folder, by a seeded choice. A failed sync loses its pages, as on Linux.
import { basename } from 'node:path'

const sector = 512

/** mulberry32: a small seeded generator. */
export function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

class Inode {
  constructor(durable = Buffer.alloc(0)) {
    this.durable = durable
    this.cached = Buffer.from(durable)
    this.unsynced = []
  }

  write(data, position) {
    this.cached = placed(this.cached, data, position)
    this.unsynced.push({ data: Buffer.from(data), position })
  }

  /** The content after a power cut. */
  survivor(random) {
    let content = Buffer.from(this.durable)
    for (const { data, position } of this.unsynced) {
      for (let at = 0; at < data.length; ) {
        const end = Math.min(data.length, at + sector - ((position + at) % sector))
        if (random() < 0.5) content = placed(content, data.subarray(at, end), position + at)
        at = end
      }
    }
    return new Inode(content)
  }
}

function placed(content, data, position) {
  const grown = Buffer.alloc(Math.max(content.length, position + data.length))
  content.copy(grown)
  data.copy(grown, position)
  return grown
}

const failure = (code, what) => Object.assign(new Error(`${code}: ${what}`), { code })

/**
 * `decide` is called before each call with {number, name}: null lets the call pass; 'cut' cuts the power before it,
 * 'cut-after' after it; {code, part} makes it fail with this code after a part (0 to 1) of its work.
 */
export class PowerDisk {
  constructor(names = new Map()) {
    this.names = new Map(names)
    this.durableNames = new Map(names)
    this.nameChanges = []
    this.calls = 0
    this.callNames = []
    this.isOff = false
    this.decide = () => null
  }

  /** The disk after the power returns. Unsynced data survives where `random` is below 0.5. */
  afterPowerCut(random) {
    const names = new Map(this.durableNames)
    for (const { name, inode } of this.nameChanges) {
      if (random() >= 0.5) continue
      if (inode) names.set(name, inode)
      else names.delete(name)
    }
    return new PowerDisk(new Map([...names].map(([name, inode]) => [name, inode.survivor(random)])))
  }

  async #call(name, work, partly = () => undefined) {
    await null
    if (this.isOff) throw failure('EIO', 'the power is off')
    const verdict = this.decide({ number: ++this.calls, name })
    this.callNames.push(name)
    if (verdict === 'cut') {
      partly(0.5)
      this.isOff = true
      throw failure('EIO', 'the power is off')
    }
    if (verdict?.code) {
      partly(verdict.part ?? 0)
      throw failure(verdict.code, name)
    }
    const result = work()
    if (verdict === 'cut-after') {
      this.isOff = true
      throw failure('EIO', 'the power is off')
    }
    return result
  }

  #inode(path) {
    const inode = this.names.get(basename(path))
    if (!inode) throw failure('ENOENT', path)
    return inode
  }

  #setName(name, inode) {
    if (inode) this.names.set(name, inode)
    else this.names.delete(name)
    this.nameChanges.push({ name, inode })
  }

  get files() {
    const fileOf = (inode) => ({
      write: (data, position) =>
        this.#call(
          'write',
          () => inode.write(data, position),
          (part) => {
            const some = data.subarray(0, Math.floor(data.length * part))
            if (some.length > 0) inode.write(some, position)
          },
        ),
      sync: () =>
        this.#call(
          'sync',
          () => {
            inode.durable = Buffer.from(inode.cached)
            inode.unsynced = []
          },
          (part) => {
            // The kernel marks the pages as written: no later sync brings them to the disk.
            if (part > 0) inode.durable = inode.survivor(() => (part > 0.5 ? 0 : 1)).durable
            inode.unsynced = []
          },
        ),
      close: () => this.#call('close', () => undefined),
    })
    return {
      makeFolder: () => this.#call('makeFolder', () => undefined),
      list: () => this.#call('list', () => [...this.names.keys()]),
      size: (path) => this.#call('size', () => this.#inode(path).cached.length),
      read: (path, start = 0, end = Infinity) =>
        this.#call('read', () => Buffer.from(this.#inode(path).cached.subarray(start, end))),
      create: (path) =>
        this.#call(
          'create',
          () => {
            if (this.names.has(basename(path))) throw failure('EEXIST', path)
            const inode = new Inode()
            this.#setName(basename(path), inode)
            return fileOf(inode)
          },
          (part) => {
            if (part > 0) this.#setName(basename(path), new Inode())
          },
        ),
      resume: (path) => this.#call('resume', () => fileOf(this.#inode(path))),
      remove: (path) =>
        this.#call('remove', () => {
          this.#inode(path)
          this.#setName(basename(path), null)
        }),
      syncFolder: () =>
        this.#call('syncFolder', () => {
          this.durableNames = new Map(this.names)
          this.nameChanges = []
        }),
    }
  }
}
