/**
 * How commands name zones: `camera/zone`, a zone alone where no other camera has one of that id, or a camera for its own
 * question and for what is the camera's.
 */

/** What a command names. Both parts may hold a whole name, as a bare payload does. */
export interface GivenName {
  readonly camera?: string | undefined
  readonly zone?: string | undefined
}

/** What there is to name. */
export interface Named {
  readonly cameras: readonly string[]
  /** Keys of all zones. */
  readonly zones: readonly string[]
}

/** A camera and a zone of its, as fields of an answer; no zone for a camera's own question. */
export function placeOf(key: string): { readonly camera: string; readonly zone?: string } {
  const [camera, zone] = key.split('/') as [string, string | undefined]
  return zone === undefined ? { camera } : { camera, zone }
}

/**
 * The key that a command means; `takesCamera`: it may mean a camera that has no question of its own. A fault is one
 * sentence that names what there is.
 */
export function keyNamed(
  given: GivenName,
  { cameras, zones }: Named,
  takesCamera: boolean,
): { readonly key: string } | { readonly fault: string } {
  const known = takesCamera ? [...new Set([...cameras, ...zones])] : zones
  const { camera, zone } = given
  if (camera === undefined && zone === undefined) return onlyOf(known, cameras, takesCamera)
  if (camera !== undefined && zone !== undefined) {
    const key = zone.includes('/') ? zone : `${camera}/${zone}`
    if (!key.startsWith(`${camera}/`) || !zones.includes(key))
      return {
        fault: `zone: ${zone} is none of camera ${camera}${listOf(zones.filter((each) => each.startsWith(`${camera}/`)))}`,
      }
    return { key }
  }
  const name = (camera ?? zone)!
  const what = camera === undefined ? 'zone' : 'camera'
  if (known.includes(name) && (what === 'camera' || name.includes('/'))) return { key: name }
  const alike = zones.filter((each) => each.endsWith(`/${name}`))
  if (alike.length === 1) return { key: alike[0]! }
  if (alike.length > 1) return { fault: `${what}: ${name} is one of ${alike.join(', ')}; name the camera too` }
  if (known.includes(name)) return { key: name }
  const ofCamera = zones.filter((each) => each.startsWith(`${name}/`))
  if (ofCamera.length > 0)
    return { fault: `zone: camera ${name} has no question of its own; name one of ${ofCamera.join(', ')}` }
  return { fault: `${what}: ${name} is none of ${known.join(', ')}` }
}

/** The only thing that there is to mean. */
function onlyOf(
  known: readonly string[],
  cameras: readonly string[],
  takesCamera: boolean,
): { readonly key: string } | { readonly fault: string } {
  if (takesCamera && cameras.length === 1) return { key: cameras[0]! }
  return known.length === 1 ? { key: known[0]! } : { fault: `camera: one of ${known.join(', ')} is needed` }
}

const listOf = (names: readonly string[]): string => (names.length === 0 ? '' : `; it has ${names.join(', ')}`)
