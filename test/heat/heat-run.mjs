// Heat maps of photographs in a separate process, so that a test can give it the CUDA test driver. Argument: JSON
// {options, files, classIndex}. Prints one JSON line for each picture.
import { openClassifier } from '../../dist/classifier.js'
import { decodeFile } from '../../dist/pixels/decode.js'
import { frameOf } from '../../dist/frame.js'
import { focusOf } from '../../dist/heat/focus.js'
import { createPreprocessor } from '../../dist/pixels/preprocess.js'

const { options, files, classIndex } = JSON.parse(process.argv[2])
const classifier = await openClassifier({ ...options, heat: true })
const preprocessor = createPreprocessor(classifier.preprocessing())
for (const file of files) {
  await preprocessor.run(frameOf(await decodeFile(file)), classifier.input.data)
  await classifier.engine.run()
  const { engine, target } = classifier.engine.describe()
  const map = classifier.heat.heat(classIndex)
  console.log(JSON.stringify({ engine, target, ...map, values: Array.from(map.values), focus: focusOf(map) }))
}
preprocessor.close()
await classifier.close()
