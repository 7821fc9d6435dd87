/** Lookups of a graph: the node that makes a value and the nodes that read it. */
import { expect, it } from 'vitest'
import { GraphIndex } from '../../src/model/graph-index.js'
import { floats } from '../onnx-builder.js'
import { graphOf, node } from './passes/graphs.js'

const graph = graphOf(
  [node('Relu', 'input', 'a'), node('Mul', 'a a', 'b'), node('Add', 'b two', 'c'), node('Sub', 'c a', 'y')],
  { two: floats([], [2]) },
  ['y', 'c'],
)
const index = GraphIndex.of(graph)
const [relu, mul, add, sub] = graph.nodes

it('a node that reads a value twice is one reader, and not its only reader', () => {
  expect(index.readers('a')).toEqual([mul, sub])
  const square = graphOf([node('Relu', 'input', 'a'), node('Mul', 'a a', 'y')])
  expect(GraphIndex.of(square).readers('a')).toEqual([square.nodes[1]])
  expect(GraphIndex.of(square).onlyReader('a')).toBeUndefined()
})

it('an output of the graph has no only reader', () => {
  expect(index.onlyReader('b')).toBe(add)
  expect(index.soleMaker('b', add!)).toBe(mul)
  expect(index.readers('c')).toEqual([sub])
  expect(index.onlyReader('c')).toBeUndefined()
  expect(index.soleMaker('c', sub!)).toBeUndefined()
})

it('makers, constants and shapes are found by name', () => {
  expect(index.maker('a')).toBe(relu)
  expect(index.maker('input')).toBeUndefined()
  expect(index.scalar('two')).toBe(2)
  expect(index.scalar('a')).toBeUndefined()
  expect(index.shape('y')).toEqual([1, 2, 6, 6])
  expect(index.shape('unknown')).toEqual([])
})

it('a graph has one index', () => {
  expect(GraphIndex.of(graph)).toBe(index)
})
