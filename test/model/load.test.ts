import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { strToU8, zipSync } from 'fflate'
import { afterAll, describe, expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { loadModel } from '../../src/model/load.js'
import { findManifest } from '../../src/model/metadata/manifest.js'
import { buildModel } from '../onnx-builder.js'
import { launch } from '../process.js'
import { projectRoot } from '../shared.js'
import { tfliteModels } from './tflite/models.js'
import { flatbuffer, tfliteModel } from './tflite/tflite-builder.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-load-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function written(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const onnx = buildModel({
  inputs: { input: [1, 3, 8, 8] },
  outputs: { output: [1, 3] },
  nodes: [
    { op: 'GlobalAveragePool', inputs: ['input'], outputs: ['means'] },
    { op: 'Flatten', inputs: ['means'], outputs: ['output'] },
  ],
})
const tflite = tfliteModel(tfliteModels['uint8']!)
const labels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name, i) => `${i} ${name}`).join('\n')

describe('loadModel', () => {
  it('knows a format by its content, whatever the file is called', async () => {
    const model = await loadModel(written('model.onnx', tflite))
    expect(model).toMatchObject({ isConverted: true, producer: 'made for a test' })
    expect(model.graph.inputs[0]).toMatchObject({ name: 'input', type: 'uint8', shape: [1, 8, 8, 3] })
    expect((await loadModel(written('model.tflite', onnx))).isConverted).toBeUndefined()
  })

  it('takes the one model of a zip archive, and its numbered labels', async () => {
    const zip = zipSync({
      'export/model.tflite': tflite,
      'export/labels.txt': strToU8(labels),
      'readme.md': strToU8('hi'),
    })
    const { manifest } = await findManifest(await loadModel(written('tm.zip', zip)))
    expect(manifest.labels).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    const custom = zipSync({ 'model.onnx': onnx, 'labels.txt': strToU8('x\ny\nz') })
    const classifier = await openClassifier({ model: written('cv.zip', custom), engine: 'onnxruntime' })
    expect(classifier.labels).toEqual(['x', 'y', 'z'])
    expect(classifier.modelId).toBe('cv')
    await classifier.close()
  })

  it('refuses an archive with two models, with none, or that is cut off', async () => {
    const two = zipSync({ 'a.onnx': onnx, 'b.tflite': tflite })
    await expect(loadModel(written('two.zip', two))).rejects.toThrow('two.zip: the zip archive has a.onnx, b.tflite')
    const none = zipSync({ 'notes.txt': strToU8('nothing') })
    await expect(loadModel(written('none.zip', none))).rejects.toThrow('the zip archive has no .onnx or .tflite file')
    await expect(loadModel(written('cut.zip', two.subarray(0, two.length / 2)))).rejects.toMatchObject({
      code: 'MODEL_INVALID',
    })
  })

  it('reads mean, deviation and labels of TFLite metadata, and says what it assumes without them', async () => {
    const spec = tfliteModels['convolutions']!
    const plain = await loadModel(written('plain.tflite', tfliteModel(spec)))
    expect(plain.assumed).toEqual([expect.stringContaining('pixels from -1 to 1')])
    const normalization = { 0: { byte: 1 }, 1: { table: { 0: { floats: [0] }, 1: { floats: [255] } } } }
    const output = { 6: { tables: [{ 0: { text: 'names.txt' }, 2: { byte: 2 } }] } }
    const graph = { 2: { tables: [{ 4: { tables: [normalization] } }] }, 3: { tables: [output] } }
    const metadata = { TFLITE_METADATA: flatbuffer({ 3: { tables: [graph] } }, 'M001') }
    const model = tfliteModel({ ...spec, metadata })
    const zip = zipSync({ 'names.txt': strToU8('one\ntwo\nthree\nfour\nfive') })
    const both = new Uint8Array(model.length + zip.length)
    both.set(model)
    both.set(shifted(zip, model.length), model.length)
    const loaded = await loadModel(written('metadata.tflite', both))
    expect(loaded.assumed).toEqual([])
    expect((await findManifest(loaded)).manifest).toMatchObject({
      mean: [0, 0, 0],
      std: [255, 255, 255],
      labels: ['one', 'two', 'three', 'four', 'five'],
    })
  })

  it.each([
    ['checkpoint.pt', zipSync({ 'archive/data.pkl': strToU8('x') }), 'a PyTorch checkpoint', 'torch.onnx.export'],
    [
      'legacy.pth',
      '\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02ctorch._utils\n_rebuild_tensor_v2',
      'a PyTorch checkpoint',
      'yolo',
    ],
    ['model.keras', zipSync({ 'model.weights.h5': strToU8('x') }), 'a Keras 3 model', '.export('],
    // Keras stores a configuration of some hundred kilobytes in front of the weights.
    [
      'large.keras',
      zipSync({ 'config.json': strToU8('{}'.repeat(50_000)), 'model.weights.h5': strToU8('x') }, { level: 0 }),
      'a Keras 3 model',
      '.export(',
    ],
    [
      'model.safetensors',
      '\x60\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      'a file of weights',
      'optimum',
    ],
    ['model.pte', '\x30\0\0\0ET12', 'an ExecuTorch program', 'torch.onnx.export'],
    ['ultralytics.engine', '\x20\x01\0\0{"description": "Ultralytics"}ftrt', 'a TensorRT engine', 'compiled'],
    ['network.rpk', '9464\0\0\x10\0', 'packaged for a Sony IMX500 camera', 'compiled'],
    ['packerOut.zip', zipSync({ 'dnnParams.xml': strToU8('<x/>') }), 'packaged for a Sony IMX500 camera', 'compiled'],
    ['model.rknn', 'RKNN\0\0\0\0', 'compiled for a Rockchip NPU', 'compiled'],
    [
      'graph.pb',
      '\x08\x01\x12\x80\x01\n\x7e\x12\x7c\n\x05Const\x12\x0eallowed_values',
      "a TensorFlow SavedModel's graph",
      'saved-model',
    ],
    [
      'frozen.pb',
      '\n\x20\n\x05input\x12\x0bPlaceholder*\x0b\n\x05dtype\x12\x020\x01',
      'a frozen graph of TensorFlow',
      'graphdef',
    ],
    ['resnet.pth', '\x80\x02}q\0.', 'a pickle of Python', 'skl2onnx'],
    ['dog.jpg', '\xff\xd8\xff\xe0', 'a picture', '--model'],
    ['labels.txt', 'cat\ndog\n', 'text', '.tflite'],
    ['model.h5', '\x89HDF\r\n\x1a\n', 'a Keras model in HDF5', 'tf2onnx'],
    ['model.xml', '<?xml version="1.0"?><net name="x" version="11">', 'an OpenVINO IR', 'ONNX'],
    ['model.engine', 'ptrt\0\0\0\0', 'a TensorRT engine', 'compiled'],
    ['model.hef', '\x01HEF', 'compiled for a Hailo accelerator', 'compiled'],
    ['model.eim', '\x7fELF', 'a program', 'TensorFlow Lite'],
    ['page.onnx', '<!DOCTYPE html><html><title>Not found</title>', 'a web page', '/resolve/'],
    ['pointer.onnx', 'version https://git-lfs.github.com/spec/v1\n', 'a pointer of Git LFS', 'git lfs pull'],
    ['model.tar.gz', '\x1f\x8b\x08', 'a compressed archive', 'tar -xzf'],
    ['model.json', '{"modelTopology": {}}', 'a TensorFlow.js model', 'tensorflowjs_converter'],
  ])('%s is refused by what it is, with how to export a fitting file', async (name, bytes, what, hint) => {
    const content = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    const error = await loadModel(written(name, content)).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'MODEL_UNSUPPORTED', hint: expect.stringContaining(hint) })
    expect((error as Error).message).toContain(`${name}: it is ${what}`)
  })

  it.each([
    [
      'converted_keras.zip',
      { 'keras_model.h5': '\x89HDF\r\n\x1a\n', 'labels.txt': '0 a' },
      'keras_model.h5',
      'a Keras model in HDF5',
    ],
    [
      'tm-my-image-model.zip',
      { 'model.json': '{"modelTopology":{}}', 'weights.bin': 'x' },
      'model.json',
      'a TensorFlow.js model',
    ],
    [
      'openvino.zip',
      { 'model.xml': '<?xml version="1.0"?><net name="m">', 'model.bin': 'x' },
      'model.xml',
      'an OpenVINO IR',
    ],
  ])(
    '%s, an archive with the model of another program, is refused with what it is',
    async (name, files, inside, what) => {
      const entries = Object.entries(files).map(([file, text]) => [file, Buffer.from(text, 'latin1')] as const)
      const zip = zipSync(Object.fromEntries(entries.map(([file, bytes]) => [file, new Uint8Array(bytes)])))
      await expect(loadModel(written(name, zip))).rejects.toThrow(`${name}: ${inside} in the zip archive is ${what}`)
    },
  )

  it('refuses a folder: a SavedModel by name, any other as a folder', async () => {
    mkdirSync(join(folder, 'saved'))
    writeFileSync(join(folder, 'saved/saved_model.pb'), '')
    await expect(loadModel(join(folder, 'saved'))).rejects.toThrow('it is a TensorFlow SavedModel')
    await expect(loadModel(folder)).rejects.toThrow('it is a folder')
  })
})

/** A zip archive whose offsets count from the start of a file in which it begins at `by`. */
function shifted(zip: Uint8Array, by: number): Uint8Array {
  const copy = zip.slice()
  const view = new DataView(copy.buffer)
  const end = copy.length - 22
  const central = view.getUint32(end + 16, true)
  view.setUint32(end + 16, central + by, true)
  view.setUint32(central + 42, view.getUint32(central + 42, true) + by, true)
  return copy
}

describe('gapcam model convert', () => {
  const cli = join(projectRoot, 'dist/cli/main.js')
  const run = async (...args: readonly string[]): Promise<{ status: unknown; stderr: string; stdout: string }> => {
    const program = launch(process.execPath, [cli, ...args])
    const status = await program.ended
    return { status, stderr: program.stderr(), stdout: program.stdout() }
  }

  it('writes an ONNX file that classifies as the TFLite file does', async () => {
    const from = written('convert.tflite', tflite)
    const to = join(folder, 'converted.onnx')
    expect(await run('model', 'convert', from, '-o', to)).toMatchObject({ status: 0, stderr: '' })
    const photo = join(projectRoot, 'models/photos/bird.jpg')
    const scores = async (model: string): Promise<unknown> => {
      const { stdout } = await run('classify', '--json', '--model', model, photo)
      return (JSON.parse(stdout) as { top: unknown }).top
    }
    expect(await scores(to)).toEqual(await scores(from))
    expect(await run('model', 'convert', to, '-o', join(folder, 'again.onnx'))).toMatchObject({ status: 2 })
  })
})
