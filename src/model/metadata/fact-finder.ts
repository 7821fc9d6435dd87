/**
 * An abstract interpreter of a graph's tail: evaluates the rules of `fact-rules.ts` backwards from one value. It stops at
 * linear layers, whose results are logits, and knows nothing about operators without a rule.
 */
import { elementCount } from '../../tensor.js'
import { numbersOf, type Graph, type Node } from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { ruleOf } from './fact-rules.js'
import { rangeOf, unknown, type FactContext, type Facts } from './facts.js'

/** Evaluates values of a prepared graph; each call of the result is memoized. */
export class FactFinder {
  readonly #graph: Graph
  readonly #index: GraphIndex
  readonly #known = new Map<string, Facts>()

  constructor(graph: Graph) {
    this.#graph = graph
    this.#index = GraphIndex.of(graph)
  }

  /** Facts of a value of the graph. */
  of(name: string): Facts {
    return this.#of(name, mostSteps)
  }

  #of(name: string, steps: number): Facts {
    const known = this.#known.get(name)
    if (known) return known
    const facts = this.#evaluate(name, steps)
    this.#known.set(name, facts)
    return facts
  }

  #evaluate(name: string, steps: number): Facts {
    const constant = this.#graph.constants.get(name)
    if (constant) return elementCount(constant.shape) <= mostElements ? rangeOf(numbersOf(constant)) : unknown
    const node = this.#index.maker(name)
    const rule = node && ruleOf(node)
    return rule && steps > 0 ? rule(this.#context(node, name, steps - 1)) : unknown
  }

  #context(node: Node, output: string, steps: number): FactContext {
    return {
      node,
      opset: this.#graph.opset,
      input: (index) => (node.inputs[index] ? this.#of(node.inputs[index], steps) : unknown),
      shape: (index) => this.#shape(node.inputs[index]),
      outputShape: this.#shape(output),
      constant: (index) => this.#constant(node.inputs[index]),
      maker: (index) => this.#index.maker(node.inputs[index] ?? ''),
      at: (other) => this.#context(other, other.outputs[0] ?? '', steps),
    }
  }

  #shape(name = ''): readonly number[] | null {
    const shape = this.#graph.constants.get(name)?.shape ?? this.#graph.values.get(name)?.shape
    return shape?.every((size): size is number => typeof size === 'number' && size >= 0) ? shape : null
  }

  #constant(name = ''): readonly number[] | null {
    const constant = this.#graph.constants.get(name)
    return constant && elementCount(constant.shape) <= mostElements ? numbersOf(constant) : null
  }
}

/** Rules look at most this far back; the tail of a classifier is short. */
const mostSteps = 40
/** Larger constants are not read: a classifier's last layer has fewer weights. */
const mostElements = 2 ** 24
