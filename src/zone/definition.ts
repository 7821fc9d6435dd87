/** Which zones a configured camera has. The rest of the program asks here and never derives zones from cameras itself. */
import type { CameraConfig } from '../config/schema.js'
import type { ZoneConfig } from '../config/zones.js'
import type { DwellOptions } from '../decision/dwell.js'
import type { ClipOptions, Task } from '../decision/task.js'
import type { PolicyOptions } from '../decision/policy.js'
import { cornersOf, inFrame, type Shape, type Turn } from '../pixels/shape.js'
import type { Region } from '../pixels/spec.js'

/** A camera as it is configured, with the zones of the file or those that commands set. */
export type ZonedCamera = CameraConfig & {
  /** Asks about the whole picture too, on its own topics, although it has zones. */
  readonly keepsOwn?: boolean
  /** The taught head that answers the question about the whole picture; default the node's model. */
  readonly ownModel?: string
}

/** A zone as it is configured. */
export interface ZoneDefinition {
  /** Names the zone in settings, recordings, commands, metrics and topics. Unique in the node. */
  readonly key: string
  /** Id of the camera that delivers its frames. */
  readonly camera: string
  /** Id within its camera; null for the camera's own question. */
  readonly zone: string | null
  /** For people. */
  readonly name: string
  /** The camera's own question: the part of the frame it is about; null: all of it. A setting can override it. */
  readonly roi: Region | null
  /** Its region in the frame as the camera delivers it; null: all of it. */
  readonly shape: Shape | null
  readonly mask: 'mean' | 'none'
  /** Whether the region follows the view; undefined: on live cameras. Without a region there is nothing to follow. */
  readonly anchor: boolean | undefined
  /** How the camera hangs. */
  readonly turn: Turn
  readonly watchRegion: CameraConfig['watchRegion'] | undefined
  /** Name or path of its model; undefined: the node's. */
  readonly model: string | undefined
  /** What its model is asked; undefined: what that model answers. */
  readonly task: Task | undefined
  /** How its clips are made of frames; undefined: as its model says. */
  readonly clip: ClipOptions | undefined
  /** `maps`: its model is a classifier whose class maps say where things are. */
  readonly detect: ZoneConfig['detect']
  /** Whether results and events have the embedding of the picture. */
  readonly embedding: boolean
  /** The second model for what is found; undefined: none. */
  readonly second: ZoneConfig['then']
  readonly trigger: NonNullable<ZoneConfig['trigger']>
  readonly timezone: string | undefined
  /** Options that differ from the node's policy. */
  readonly policy: Partial<PolicyOptions>
  readonly dwell: DwellOptions
}

/** Whether a camera has a question about the whole picture on its own topics: without zones always. */
export function hasOwn({ zones = [], keepsOwn = false }: ZonedCamera): boolean {
  return keepsOwn || zones.length === 0
}

/** The zones of a camera, its own question first. That has the camera's id as its key, so its topics are the camera's. */
export function zonesOf(camera: ZonedCamera): readonly ZoneDefinition[] {
  const { zones = [] } = camera
  return [...(hasOwn(camera) ? [ownOf(camera)] : []), ...zones.map((zone) => definitionOf(camera, zone))]
}

/** Whether the node's own model must give the embedding. */
export function asksOwnEmbedding(cameras: readonly ZonedCamera[]): boolean {
  return cameras.flatMap(zonesOf).some(({ model, embedding }) => model === undefined && embedding)
}

/** The places in topics of cameras and their zones. */
export function placesIn(cameras: readonly ZonedCamera[]): {
  readonly cameras: readonly string[]
  readonly zones: readonly string[]
} {
  return { cameras: cameras.map(({ id }) => id), zones: cameras.flatMap(zonesOf).map(({ key }) => key) }
}

function turnOf({ rotate, flipX, flipY }: ZonedCamera): Turn {
  return { rotate, flipX, flipY }
}

function ownOf(camera: ZonedCamera): ZoneDefinition {
  const { id, roi = null, watchRegion, ownModel } = camera
  return {
    key: id,
    camera: id,
    zone: null,
    name: id,
    roi,
    shape: null,
    mask: 'none',
    anchor: false,
    turn: turnOf(camera),
    watchRegion,
    model: ownModel,
    task: undefined,
    clip: undefined,
    detect: undefined,
    embedding: camera.embedding ?? false,
    second: undefined,
    trigger: { kind: 'always' },
    timezone: undefined,
    policy: {},
    dwell: { dwellMs: {}, transitions: {} },
  }
}

function definitionOf(camera: ZonedCamera, zone: ZoneConfig): ZoneDefinition {
  const { id, name = id, region, model, trigger = { kind: 'always' }, timezone, policy = {}, mask = 'mean' } = zone
  const turn = turnOf(camera)
  const shape = region === undefined ? null : inFrame(region, turn)
  return {
    key: `${camera.id}/${id}`,
    camera: camera.id,
    zone: id,
    name,
    roi: null,
    shape,
    mask,
    anchor: zone.anchor,
    turn,
    watchRegion: zone.evidence === undefined ? undefined : watched(shape, zone.evidence),
    model,
    task: zone.task,
    clip: zone.video,
    detect: zone.detect,
    embedding: zone.embedding ?? false,
    second: zone.then,
    trigger,
    timezone,
    policy: policy as Partial<PolicyOptions>,
    dwell: { dwellMs: zone.dwell ?? {}, transitions: zone.transitions ?? {} },
  }
}

/** The region as the place where the evidence for a label must lie. */
function watched(shape: Shape | null, share: number): ZoneDefinition['watchRegion'] {
  if (shape === null) return undefined
  return { polygon: cornersOf(shape).map(([x, y]): [number, number] => [x, y]), share }
}
