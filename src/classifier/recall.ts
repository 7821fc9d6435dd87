/** Opens a model as it was kept at an earlier start: without its graph, and without reading the files beside it again. */
import { createHash } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { loadAddon } from '../addon.js'
import { NativeEngine } from '../engine/native.js'
import { placeOf, type PlanPlace } from '../engine/plan-cache.js'
import { openCompiled, type OwnChoice } from '../engine/select.js'
import { tuningFile } from '../engine/tuning.js'
import { messageOf } from '../errors.js'
import { huggingFaceFiles, manifestFiles } from '../model/metadata/schema.js'
import { factsSchema, type ModelFacts, type OpenedModel } from './facts.js'
import { labelFilesBeside } from './labels.js'
import type { ClassifierOptions } from './options.js'
import { wire } from './wiring.js'

/** The place of this model with these options; null where plans are not kept. */
export async function planPlace(options: ClassifierOptions): Promise<PlanPlace | null> {
  const { model, engine: choice = 'auto', labels, resize, heat, embedding, planCache, task, clip } = options
  if (planCache === undefined || options.loaded || choice === 'onnxruntime') return null
  return placeOf(model, planCache, {
    choice,
    engine: { ...options, byteInputs: true },
    options: { kind: 'classifier', labels, resize, heat, embedding, task, clip },
    beside: [...filesBeside(model), ...(labels === undefined ? [] : [labels])],
  })
}

/** Every file beside a model that says something about it, whether it exists or not. */
function filesBeside(model: string): readonly string[] {
  const folder = dirname(model)
  const folders = basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder]
  return [
    ...manifestFiles(model),
    ...labelFilesBeside(model).map(({ file }) => file),
    ...folders.flatMap((each) => huggingFaceFiles.map((name) => join(each, name))),
    tuningFile(model),
  ]
}

/** The opened model; null where it was not kept, or cannot be used any more. Rejects with ENGINE_UNAVAILABLE. */
export async function recallModel(options: ClassifierOptions, place: PlanPlace): Promise<OpenedModel | null> {
  const kept = place.find()
  if (!kept) return null
  const checked = factsSchema.safeParse(kept.facts)
  const why = checked.success
    ? wrongOf(checked.data, place, kept.table)
    : 'what it says of the model is not as it should be'
  if (why !== null || !checked.success) {
    if (why !== null) place.refuse(why)
    return null
  }
  const { heat: head, ...facts } = checked.data
  const { engine: choice = 'auto', ...engineOptions } = options
  const measured = facts.precision.isHalf ? 'fp16' : 'fp32'
  const precision = options.precision === 'auto' ? measured : options.precision
  const engine = await openCompiled(kept.compiled, choice as OwnChoice, { ...engineOptions, precision })
  if ('why' in engine) {
    place.refuse(engine.why)
    return null
  }
  try {
    if (facts.precision.sentence !== '' && engine instanceof NativeEngine) engine.remark(facts.precision.sentence)
    const { manifest, output, count, code, task } = facts
    const wiring = wire(engine, {
      path: options.model,
      manifest,
      resize: options.resize,
      output,
      task,
      code: code ?? undefined,
    })
    if (wiring.count !== count) throw new Error('its output has another length')
    return { engine, wiring, facts, heat: heatFrom(head, kept.table), keeping: undefined }
  } catch (error) {
    await engine.close()
    place.refuse(messageOf(error))
    return null
  }
}

/** What is wrong with facts whose form is right; null if nothing is. */
function wrongOf(
  { sha256, manifest, labels, count, heat }: ModelFacts,
  place: PlanPlace,
  table: Uint8Array | null,
): string | null {
  if (labels.length !== count && !(labels.length === 2 && count === 1)) return 'its labels do not fit its outputs'
  if (('map' in heat ? heat.classes * heat.channels * 4 : 0) !== (table?.length ?? 0))
    return 'its table has a wrong length'
  // A fingerprint does not tell a file that was forged to match; the digest in a manifest does.
  const isSame = manifest.sha256 === undefined || createHash('sha256').update(place.bytes).digest('hex') === sha256
  return isSame ? null : 'its model has another sha256'
}

/** The head from the kept table, whose pages leave the memory until a heat map is asked for. */
function heatFrom(heat: ModelFacts['heat'], table: Uint8Array | null): OpenedModel['heat'] {
  if (!('map' in heat) || !table) return 'reason' in heat ? heat : { reason: 'its table was not kept' }
  const { map, layout, classes, channels } = heat
  const weights = new Float32Array(table.buffer, table.byteOffset, classes * channels)
  const loaded = loadAddon()
  if ('addon' in loaded) loaded.addon.dropPages(table)
  return {
    head: { map, layout, weights: (index) => weights.subarray(index * channels, (index + 1) * channels) },
    classes,
    extraOutputs: [map],
  }
}
