/** Functions that a model file defines: the native engine runs their bodies, with the results of onnxruntime, which calls them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PbfWriter } from 'pbf'
import { afterAll, expect, it } from 'vitest'
import { openModel } from '../../../src/index.js'
import { parseModel } from '../../../src/model/onnx/onnx.js'
import { projectRoot } from '../../shared.js'

type Write = (writer: PbfWriter) => void
function message(write: Write): Uint8Array {
  const writer = new PbfWriter()
  write(writer)
  return writer.finish()
}
const texts = (writer: PbfWriter, field: number, values: readonly string[]): void =>
  values.forEach((value) => writer.writeStringField(field, value))

interface Call {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly domain?: string
  /** A float attribute: its value, or the name of the function's attribute. */
  readonly alpha?: number | string
  /** The attribute's name; default alpha. */
  readonly attribute?: string
}

const node = ({ op, inputs, outputs, domain = '', alpha, attribute: called = 'alpha' }: Call): Uint8Array =>
  message((writer) => {
    texts(writer, 1, inputs)
    texts(writer, 2, outputs)
    writer.writeStringField(4, op)
    if (alpha !== undefined)
      writer.writeBytesField(
        5,
        message((attribute) => {
          attribute.writeStringField(1, called)
          if (typeof alpha === 'number') attribute.writeFloatField(2, alpha)
          attribute.writeVarintField(20, 1)
          if (typeof alpha === 'string') attribute.writeStringField(21, alpha)
        }),
      )
    if (domain !== '') writer.writeStringField(7, domain)
  })

const value = (name: string, shape: readonly number[]): Uint8Array =>
  message((info) => {
    info.writeStringField(1, name)
    const dims = message((writer) =>
      shape.forEach((size) =>
        writer.writeBytesField(
          1,
          message((dim) => dim.writeVarintField(1, size)),
        ),
      ),
    )
    const tensor = message((writer) => {
      writer.writeVarintField(1, 1)
      writer.writeBytesField(2, dims)
    })
    info.writeBytesField(
      2,
      message((type) => type.writeBytesField(1, tensor)),
    )
  })

const imports = (domain: string, version: number): Uint8Array =>
  message((writer) => {
    writer.writeStringField(1, domain)
    writer.writeVarintField(2, version)
  })

interface Body {
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: readonly string[]
  readonly nodes: readonly Call[]
}

function modelWith(functions: readonly Body[], nodes: readonly Call[]): Uint8Array {
  return message((model) => {
    model.writeVarintField(1, 9)
    model.writeBytesField(
      7,
      message((graph) => {
        for (const each of nodes) graph.writeBytesField(1, node(each))
        graph.writeStringField(2, 'g')
        graph.writeBytesField(11, value('x', [1, 6]))
        graph.writeBytesField(12, value('y', [1, 6]))
      }),
    )
    model.writeBytesField(8, imports('', 17))
    model.writeBytesField(8, imports('own', 1))
    for (const { name, inputs, outputs, attributes = [], nodes: body } of functions)
      model.writeBytesField(
        25,
        message((writer) => {
          writer.writeStringField(1, name)
          texts(writer, 4, inputs)
          texts(writer, 5, outputs)
          texts(writer, 6, attributes)
          for (const each of body) writer.writeBytesField(7, node(each))
          writer.writeBytesField(9, imports('', 17))
          writer.writeBytesField(9, imports('own', 1))
          writer.writeStringField(10, 'own')
        }),
      )
  })
}

const leaky: Body = {
  name: 'Leaky',
  inputs: ['a'],
  outputs: ['b'],
  attributes: ['slope'],
  nodes: [{ op: 'LeakyRelu', inputs: ['a'], outputs: ['b'], alpha: 'slope' }],
}
const twice: Body = {
  name: 'Twice',
  inputs: ['a'],
  outputs: ['b'],
  nodes: [
    { op: 'Leaky', domain: 'own', inputs: ['a'], outputs: ['c'], alpha: 0.5, attribute: 'slope' },
    { op: 'Neg', inputs: ['c'], outputs: ['d'] },
    { op: 'Leaky', domain: 'own', inputs: ['d'], outputs: ['e'], alpha: 0.25, attribute: 'slope' },
    { op: 'Add', inputs: ['e', 'a'], outputs: ['b'] },
  ],
}
const folder = mkdtempSync(join(tmpdir(), 'gapcam-functions-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(path: string, engine: 'native' | 'onnxruntime', input: Float32Array): Promise<readonly number[]> {
  const model = await openModel(path, { engine })
  try {
    return Array.from(Object.values(await model.run(input))[0]!.data as Float32Array)
  } finally {
    await model.close()
  }
}

it('runs functions that call functions, with the attributes of each call, as onnxruntime does', async () => {
  const path = join(folder, 'nested.onnx')
  const calls: Call[] = [
    { op: 'Twice', domain: 'own', inputs: ['x'], outputs: ['t'] },
    { op: 'Twice', domain: 'own', inputs: ['t'], outputs: ['y'] },
  ]
  writeFileSync(path, modelWith([leaky, twice], calls))
  const input = Float32Array.of(-3, -1, -0.25, 0.5, 1, 4)
  const found = await run(path, 'native', input)
  expect(found).toEqual(await run(path, 'onnxruntime', input))
  expect(new Set(found).size).toBe(6)
})

it('refuses functions that call themselves or grow without bound', () => {
  const call = (op: string, input: string, output: string): Call => ({
    op,
    domain: 'own',
    inputs: [input],
    outputs: [output],
  })
  const own: Body = { name: 'F', inputs: ['a'], outputs: ['b'], nodes: [call('F', 'a', 'b')] }
  expect(() => parseModel(modelWith([own], [call('F', 'x', 'y')]))).toThrow('its function F calls itself')
  const growing = Array.from({ length: 30 }, (_, i): Body => {
    const inner = i === 29 ? [] : [call(`F${i + 1}`, 'a', 'c'), call(`F${i + 1}`, 'c', 'b')]
    return { name: `F${i}`, inputs: ['a'], outputs: ['b'], nodes: inner }
  })
  expect(() => parseModel(modelWith(growing, [call('F0', 'x', 'y')]))).toThrow('expand to more than 100000 nodes')
})

it.each(['function.onnx', 'more/fnsoftmax.onnx'])('the native engine opens %s', async (name) => {
  const model = await openModel(join(projectRoot, 'test/fixtures/faults', name), { engine: 'native' })
  expect(model.describe().engine).toBe('native')
  await model.close()
})
