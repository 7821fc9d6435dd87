/** Passes that fuse work into the node before it, each on the smallest graph, and the graphs that they must leave alone. */
import { describe, expect, it } from 'vitest'
import { fuseActivations } from '../../../src/model/passes/activation.js'
import { fuseGap } from '../../../src/model/passes/gap.js'
import { fuseResiduals } from '../../../src/model/passes/residual.js'
import { floats } from '../../onnx-builder.js'
import { graphOf, node, ops, pointwise, weights } from './graphs.js'

describe('residual', () => {
  it('adds the other operand to the later of two convolutions', () => {
    const fused = fuseResiduals(
      graphOf([node('Conv', 'input w', 'a'), node('Conv', 'a w', 'b'), node('Add', 'input b', 'y')], { w: pointwise }),
    )
    expect(fused.nodes.map(({ op, inputs }) => [op, inputs])).toEqual([
      ['Conv', ['input', 'w']],
      ['Conv', ['a', 'w', '', 'input']],
    ])
  })

  it('keeps a sum that broadcasts, and a sum of a value with itself', () => {
    const gate = graphOf(
      [node('GlobalAveragePool', 'input', 'b'), node('Conv', 'input w', 'a'), node('Add', 'a b', 'y')],
      { w: pointwise },
    )
    expect(ops(fuseResiduals(gate))).toContain('Add')
    expect(ops(fuseResiduals(graphOf([node('Conv', 'input w', 'a'), node('Add', 'a a', 'y')], { w: pointwise })))).toBe(
      'Conv Add',
    )
  })

  it('moves the convolution behind an operand that is made later', () => {
    const fused = fuseResiduals(
      graphOf([node('Conv', 'input w', 'a'), node('Exp', 'input', 'b'), node('Add', 'a b', 'y')], weights),
    )
    expect(fused.nodes.map(({ op, inputs }) => [op, ...inputs])).toEqual([
      ['Exp', 'input'],
      ['Conv', 'input', 'w', '', 'b'],
    ])
  })
})

describe('activation', () => {
  it.each(['Relu', 'Sigmoid', 'Tanh', 'HardSwish', 'Softplus', 'Elu', 'LeakyRelu', 'HardSigmoid'])(
    '%s fuses into the convolution before it',
    (op) => {
      const fused = fuseActivations(graphOf([node('Conv', 'input w', 'a'), node(op, 'a', 'y')], { w: pointwise }))
      expect(ops(fused)).toBe('Conv')
      expect(fused.nodes[0]!.outputs).toEqual(['y'])
      expect(fused.nodes[0]!.attributes['gapcam.activation']).toEqual({
        kind: 'string',
        value: op[0]!.toLowerCase() + op.slice(1),
      })
    },
  )

  it('fuses a Clip with its bounds', () => {
    const fused = fuseActivations(
      graphOf([node('Conv', 'input w', 'a'), node('Clip', 'a low high', 'y')], {
        w: pointwise,
        low: floats([], [-1]),
        high: floats([], [6]),
      }),
    )
    expect(fused.nodes[0]!.attributes).toMatchObject({
      'gapcam.activation': { value: 'clip' },
      'gapcam.a': { value: -1 },
      'gapcam.b': { value: 6 },
    })
  })

  it('keeps an activation whose operand has another reader, and a second activation', () => {
    expect(
      ops(
        fuseActivations(graphOf([node('Conv', 'input w', 'a'), node('Relu', 'a', 'y')], { w: pointwise }, ['y', 'a'])),
      ),
    ).toBe('Conv Relu')
    expect(
      ops(
        fuseActivations(
          graphOf([node('Conv', 'input w', 'a'), node('Relu', 'a', 'b'), node('Tanh', 'b', 'y')], { w: pointwise }),
        ),
      ),
    ).toBe('Conv Tanh')
  })
})

describe('gap', () => {
  const chain = [node('Conv', 'input w', 'a'), node('GlobalAveragePool', 'a', 'y')]

  it('fuses the mean into the convolution, which stores the map only where it is read', () => {
    expect(fuseGap(graphOf(chain, { w: pointwise })).nodes.map(({ op, outputs }) => [op, outputs])).toEqual([
      ['Conv', ['', 'y']],
    ])
    expect(fuseGap(graphOf(chain, { w: pointwise }, ['y', 'a'])).nodes.map(({ outputs }) => outputs)).toEqual([
      ['a', 'y'],
    ])
  })
})
