/** Files and folders that are dropped or chosen, as the API takes them: in parts, in base64. */

export interface UploadPicture {
  readonly data: string
  readonly atMs: number | null
}

/** Pictures and bytes of one request; the API takes 20 pictures and 24 MB, and base64 adds a third. */
const [mostPictures, mostBytes] = [20, 12 << 20]

/** All files of a drop, those in folders too. */
export async function droppedFiles({ items, files }: DataTransfer): Promise<File[]> {
  // The entries are gone after the first await.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? [])
  return entries.length > 0 ? (await Promise.all(entries.map(filesOf))).flat() : [...files]
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))]
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const all: File[] = []
  // A reader gives a part of the entries each time, and none at the end.
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (part.length === 0) return all
    for (const inner of part) all.push(...(await filesOf(inner)))
  }
}

/** Whether a file can be a picture that the API takes. */
export function isPicture({ type, size }: Pick<File, 'type' | 'size'>): boolean {
  return type.startsWith('image/') && type !== 'image/svg+xml' && size > 0 && size <= mostBytes
}

/** Whether a file can be a clip that the API takes: an animated picture, Motion JPEG or a recording, whose types browsers do not know. */
export function isClip({ type, name, size }: Pick<File, 'type' | 'name' | 'size'>): boolean {
  return (/^image\/(gif|webp|avif)$/.test(type) || /\.(mjpe?g|gcrec)$/i.test(name)) && size > 0 && size <= mostBytes
}

/** Files in parts that fit into one request each. */
export function partsOf<T extends { readonly size: number }>(files: readonly T[]): T[][] {
  const parts: T[][] = []
  let bytes = Infinity
  for (const file of files) {
    const last = parts.at(-1)
    if (!last || last.length >= mostPictures || bytes + file.size > mostBytes) {
      parts.push([file])
      bytes = file.size
    } else {
      last.push(file)
      bytes += file.size
    }
  }
  return parts
}

/** A file as the API takes it, with the time at which it was last written. */
export async function pictureOf(file: File): Promise<UploadPicture> {
  return { data: base64Of(new Uint8Array(await file.arrayBuffer())), atMs: file.lastModified || null }
}

export function base64Of(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(binary)
}
