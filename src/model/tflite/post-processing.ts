/**
 * TFLite_Detection_PostProcess, the last operator of the SSD detectors that TensorFlow's Object Detection API writes. It
 * turns boxes relative to anchors into finished ones. gapcam takes it off: the network ends in what it computes, and the
 * work of the operator becomes the field `detect` of the manifest, which every engine serves.
 */
import { GapcamError } from '../../errors.js'
import { elementCount } from '../../tensor.js'
import { numbersOf } from '../graph.js'
import type { DetectOverrides } from '../metadata/detect.js'
import { numbersOfFlexbuffer } from './flexbuffer.js'
import { uniqueNames } from './names.js'
import type { TfliteModel, TfliteOperator, TfliteTensor } from './model.js'

const postProcessing = 'CUSTOM TFLite_Detection_PostProcess'

/** A score below this is left out where the file leaves out less: such files often keep everything. */
const leastScore = 0.4

/** The model without the operator, and what the operator would do; the model itself where it has none. */
export function withoutPostProcessing(model: TfliteModel): {
  readonly model: TfliteModel
  readonly detect?: DetectOverrides
} {
  const operator = model.operators.find(({ op }) => op === postProcessing)
  if (!operator) return { model }
  const operators = model.operators.filter((other) => other !== operator)
  if (operators.some(({ inputs }) => inputs.some((input) => operator.outputs.includes(input))))
    throw new GapcamError('MODEL_UNSUPPORTED', 'operators stand behind TFLite_Detection_PostProcess', {
      hint: 'gapcam takes files in which it is the last operator.',
    })
  const [boxes = -1, scores = -1] = operator.inputs
  return { model: { ...model, operators, outputs: [boxes, scores] }, detect: detectOf(operator, model.tensors) }
}

function detectOf({ inputs, customOptions }: TfliteOperator, tensors: readonly TfliteTensor[]): DetectOverrides {
  const [boxes, scores, anchors] = inputs.map((index) => tensors[index])
  const names = uniqueNames(tensors)
  if (!boxes || !scores || !anchors?.data || elementCount(anchors.shape) % 4 !== 0)
    throw new GapcamError('MODEL_INVALID', 'its TFLite_Detection_PostProcess lacks boxes, scores or anchors')
  const options = numbersOfFlexbuffer(customOptions)
  const option = (name: string, fallback: number): number => options.get(name) ?? fallback
  const given = scores.shape.at(-1) ?? 0
  const classCount = option('num_classes', given)
  const isRegular = option('use_regular_nms', 0) === 1
  return {
    format: 'ssd',
    boxes: names[boxes.index]!,
    scores: names[scores.index]!,
    coordinates: 'centre-yx',
    unit: 'shares',
    activation: 'none',
    background: given > classCount ? 'first' : 'none',
    classCount,
    anchors: anchorsOf(anchors),
    scales: [option('x_scale', 1), option('y_scale', 1), option('w_scale', 1), option('h_scale', 1)],
    exponential: true,
    minScore: Math.max(option('nms_score_threshold', 0), leastScore),
    overlap: option('nms_iou_threshold', 0.5),
    suppression: 'plain',
    perClass: isRegular,
    most: Math.min(1000, Math.max(1, option(isRegular ? 'detections_per_class' : 'max_detections', 100))),
  }
}

/** Rows of y, x, height, width, as x, y, width, height. */
function anchorsOf({ type, shape, data, quantization }: TfliteTensor): [number, number, number, number][] {
  const stored = numbersOf({ type, shape, bytes: data! })
  const [scale, zeroPoint] = [quantization?.scale[0] ?? 1, quantization?.zeroPoint[0] ?? 0]
  const real = quantization ? stored.map((value) => (value - zeroPoint) * scale) : stored
  return Array.from({ length: real.length / 4 }, (_, i) => {
    const [y = 0, x = 0, height = 0, width = 0] = real.slice(4 * i, 4 * i + 4)
    return [x, y, width, height]
  })
}
