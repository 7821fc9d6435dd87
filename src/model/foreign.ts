/**
 * Model files of other programs, recognized by their content, so that a refusal can say what the file is and how to get one
 * that gapcam reads. Signatures are from the formats' own documentation; a file that matches none is for the ONNX reader.
 */
import { readdir } from 'node:fs/promises'
import { GapcamError } from '../errors.js'

interface Format {
  /** Completes "model X is …". */
  readonly what: string
  /** One line: how to get a file that gapcam reads. */
  readonly instead: string
  readonly matches: (bytes: Uint8Array, text: string) => boolean
}

/** Enough bytes to recognize every format. Archives have their list of names at the end. */
const headBytes = 4096
const tailBytes = 65_536

const beginsWith =
  (...signature: readonly number[]) =>
  (bytes: Uint8Array): boolean =>
    signature.every((byte, i) => bytes[i] === byte)

/** A zip archive (PK) in which a name occurs near the front or in the list at its end. */
const zipWith =
  (...names: readonly string[]) =>
  (bytes: Uint8Array, text: string): boolean =>
    beginsWith(0x50, 0x4b, 3, 4)(bytes) && names.some((name) => text.includes(name))

/** Whether a file begins with the length of what follows, which is text. */
const isAfterLength = (bytes: Uint8Array, size: 4 | 8): boolean =>
  bytes.length > size && bytes[size - 1] === 0 && bytes[size - 2] === 0 && bytes[size] === 0x7b

const compiledFrom = 'Use the .onnx or .tflite file from which it was compiled.'

const formats: readonly Format[] = [
  {
    what: 'a PyTorch checkpoint',
    instead:
      'Export it: torch.onnx.export(model, torch.zeros(1, 3, 224, 224), "model.onnx"), or for Ultralytics: yolo export model=FILE format=onnx.',
    matches: (bytes, text) =>
      zipWith('/data.pkl', '/constants.pkl', '/archive_format', '/models/model.json')(bytes, text) ||
      (bytes[0] === 0x80 && text.includes('torch')),
  },
  {
    what: 'a pickle of Python, such as a checkpoint of PyTorch or a model of scikit-learn',
    instead: 'Export it as ONNX: torch.onnx.export for PyTorch, skl2onnx for scikit-learn.',
    matches: (bytes) => bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5,
  },
  {
    what: 'a file of weights without their network (safetensors)',
    instead: 'Export the model with its code: optimum-cli export onnx --model FOLDER OUT, or torch.onnx.export.',
    matches: (bytes, text) => isAfterLength(bytes, 8) && /^.{8}\{\s*"/s.test(text) && text.includes('"data_offsets"'),
  },
  {
    what: 'an ExecuTorch program',
    instead: 'Export the PyTorch model once more: torch.onnx.export(model, torch.zeros(1, 3, 224, 224), "model.onnx").',
    matches: (_, text) => /^.{4}ET\d\d/s.test(text),
  },
  {
    what: 'a Keras 3 model',
    instead: 'Export it: keras.models.load_model("FILE").export("model.onnx", format="onnx").',
    matches: zipWith('model.weights.h5'),
  },
  {
    what: 'a Keras model in HDF5',
    instead: 'Convert it: python -m tf2onnx.convert --keras FILE --output model.onnx.',
    matches: beginsWith(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a),
  },
  {
    what: 'an OpenVINO IR',
    instead: 'Use the ONNX or TFLite file from which it was converted; an IR cannot be converted back.',
    matches: (_, text) => /^\s*<\?xml[^>]*>\s*<net |^\s*<net /.test(text),
  },
  {
    what: 'an ncnn network',
    instead: 'Use the ONNX file from which it was converted.',
    matches: (_, text) => text.startsWith('7767517\n'),
  },
  {
    what: 'a TensorFlow.js model',
    instead:
      'Convert it: tensorflowjs_converter --input_format=tfjs_layers_model FILE model.h5, then tf2onnx; or download the TFLite export.',
    matches: (_, text) => /^\s*\{/.test(text) && text.includes('"modelTopology"'),
  },
  {
    what: 'compiled for a Hailo accelerator',
    instead: compiledFrom,
    matches: beginsWith(0x01, 0x48, 0x45, 0x46),
  },
  {
    what: 'a TensorRT engine, which only the GPU and version it was built for can run',
    instead: compiledFrom,
    // Ultralytics puts its metadata (JSON behind its length) in front of the engine.
    matches: (bytes, text) => /^[pf]trt/.test(text) || (isAfterLength(bytes, 4) && /^.{4}\{"/s.test(text)),
  },
  {
    what: 'a program (an Edge Impulse .eim, for example), not a model',
    instead: 'In Edge Impulse download the model from the dashboard: TensorFlow Lite (float32 or int8).',
    matches: beginsWith(0x7f, 0x45, 0x4c, 0x46),
  },
  {
    what: 'packaged for a Sony IMX500 camera',
    instead: compiledFrom,
    // .rpk: firmware blocks that begin with 9464; packerOut.zip: what it is made of.
    matches: (bytes, text) => text.startsWith('9464') || zipWith('network.fpk', 'dnnParams.xml')(bytes, text),
  },
  {
    what: 'compiled for a Rockchip NPU',
    instead: compiledFrom,
    matches: (_, text) => text.startsWith('RKNN'),
  },
  {
    what: "a TensorFlow SavedModel's graph without its folder",
    instead: 'Convert the whole folder: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx.',
    matches: (bytes, text) => beginsWith(0x08, 0x01, 0x12)(bytes) && /allowed_values|dtype/.test(text),
  },
  {
    what: 'a frozen graph of TensorFlow',
    instead:
      'Convert it: python -m tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx.',
    matches: (bytes, text) =>
      bytes[0] === 0x0a && /\x12.(Placeholder|Const)[^A-Za-z]/s.test(text) && text.includes('dtype'),
  },
  {
    what: 'a web page, so its download went wrong',
    instead:
      'Download the file itself: of GitHub the "raw" link, of Hugging Face the address with /resolve/ in place of /blob/.',
    matches: (_, text) => /^\s*<(!doctype html|html)/i.test(text),
  },
  {
    what: 'a pointer of Git LFS, not the file',
    instead: 'Fetch the file in its checkout: git lfs pull.',
    matches: (_, text) => text.startsWith('version https://git-lfs.github.com/'),
  },
  {
    what: 'a compressed archive (gzip)',
    instead: 'Unpack it (tar -xzf FILE, or gunzip FILE) and name the model in it.',
    matches: beginsWith(0x1f, 0x8b),
  },
  {
    what: 'a GGUF file of a language model',
    instead: 'gapcam runs image classifiers in ONNX or TFLite.',
    matches: beginsWith(0x47, 0x47, 0x55, 0x46),
  },
  {
    what: 'a picture',
    instead: 'Name the model after --model, and the pictures without a flag.',
    matches: (bytes, text) => beginsWith(0xff, 0xd8, 0xff)(bytes) || /^(\x89PNG|GIF8|RIFF.{4}WEBP)/s.test(text),
  },
  {
    what: 'text',
    instead: 'Name the model file: .onnx, .tflite, or a zip archive with one of them.',
    matches: (_, text) => /^(\xef\xbb\xbf)?[\t\n\r\x20-\x7e]+$/.test(text),
  },
]

/**
 * Throws MODEL_UNSUPPORTED with what a file is and how to export a fitting one, if it belongs to another program. `subject` begins
 * the sentence.
 */
export function refuseForeign(bytes: Uint8Array, subject = 'it'): void {
  const decoder = new TextDecoder('latin1')
  const head = bytes.subarray(0, headBytes)
  const tail = beginsWith(0x50, 0x4b, 3, 4)(head) ? bytes.subarray(Math.max(headBytes, bytes.length - tailBytes)) : []
  const text = decoder.decode(head) + decoder.decode(Uint8Array.from(tail))
  const format = formats.find(({ matches }) => matches(head, text))
  if (format) throw foreign(format.what, format.instead, subject)
}

function foreign(what: string, instead: string, subject = 'it'): GapcamError {
  return new GapcamError('MODEL_UNSUPPORTED', `${subject} is ${what}; gapcam reads ONNX and TFLite`, { hint: instead })
}

/** Rejects with what a folder is: a SavedModel, or no model at all. */
export async function refuseFolder(path: string): Promise<never> {
  const names = await readdir(path)
  const found = names.includes('saved_model.pb')
    ? foreign(
        'a TensorFlow SavedModel',
        'Convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx.',
      )
    : new GapcamError('MODEL_NOT_FOUND', 'it is a folder', { hint: 'Name the model file in it.' })
  throw new GapcamError(found.code, `model ${path}: ${found.message}`, { hint: found.hint })
}
