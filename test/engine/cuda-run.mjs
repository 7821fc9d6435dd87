// Opens a model and runs it a few times. The CUDA tests start it as a child process, which finds the test driver.
// Argument: JSON {path, options, runs, untilServing, openAgain}. Prints one JSON line for each step.
import { openModel } from '../../dist/index.js'

const { path, options, runs = 1, untilServing = false, openAgain } = JSON.parse(process.argv[2])

const say = (line) => console.log(JSON.stringify(line))
const picture = (length, frame) =>
  Float32Array.from({ length }, (_, i) => Math.sin(i * 0.11 + frame) + Math.cos(i * 0.017))

async function runOnce(model, frame) {
  const feeds = Object.fromEntries(
    model.inputs.map(({ name, shape }) => [
      name,
      picture(
        shape.reduce((a, b) => a * b, 1),
        frame,
      ),
    ]),
  )
  const outputs = await model.run(feeds)
  const values = Object.values(outputs).flatMap(({ data }) => Array.from(data))
  say({ step: 'run', values, ...model.describe() })
}

async function open(choice) {
  const faults = []
  try {
    const model = await openModel(path, { ...choice, onFault: (sentence) => faults.push(sentence) })
    say({ step: 'open', ...model.describe() })
    for (let frame = 0; frame < runs; frame++) await runOnce(model, frame)
    while (untilServing && model.describe().engine !== 'cuda') await runOnce(model, 0)
    await model.close()
    say({ step: 'closed', faults })
  } catch (error) {
    say({ step: 'failed', code: error.code, message: error.message })
  }
}

await open(options)
if (openAgain) await open(openAgain)
