// Prints how well taught heads do on a folder of tasks: accuracy, calibration, and what they call unknown.
//   node scripts/teach/tasks.mjs FOLDER [--model FILE] [--tasks a,b] [--draws n] [--keep FOLDER] [--json]
// Every picture is looked at once (with --keep its vectors are read from that folder the next time), and every draw is fitted by src/teach. Unless --fast is given, the first draw of each
// task is also written as a file, and its answers are compared with those of the head in memory.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { openClassifier } from '../../dist/classifier.js'
import { frameOf } from '../../dist/frame.js'
import { decodeFile } from '../../dist/pixels/decode.js'
import { openTeacher } from '../../dist/teach/teacher.js'
import { answerOf } from '../../dist/teach/head.js'
import { packed, unpacked } from '../../dist/teach/looks.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: new URL('../../models/efficientnet-lite0.onnx', import.meta.url).pathname },
    tasks: { type: 'string' },
    draws: { type: 'string', default: '5' },
    keep: { type: 'string' },
    fast: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const [folder] = positionals
if (!folder) throw new Error('usage: node scripts/teach/tasks.mjs FOLDER')
const engine = { threads: 1 }
const wanted = values.tasks?.split(',')
const tasks = JSON.parse(readFileSync(join(folder, 'tasks.json'), 'utf8')).tasks.filter(
  ({ name }) => !wanted || wanted.includes(name),
)
const draws = JSON.parse(readFileSync(join(folder, 'draws.json'), 'utf8'))
const sizes = [1, 5, 20]
/** Kinds of pictures that must be unknown, in the three groups of the table. */
const groupsOfNone = { other: ['other'], covered: ['front', 'fog', 'night'], spoiled: ['black', 'over', 'blur'] }
const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length
const percent = (share) => Math.round(share * 1000) / 10

const teacher = await openTeacher({ model: values.model, engine })
const seen = { tests: new Map(), looks: new Map(), none: new Map() }
for (const task of tasks) await lookAt(task)

async function lookAt(task) {
  const states = Object.keys(task.states)
  const tests = []
  for (const [state, { teach, test }] of Object.entries(task.states)) {
    for (const { file } of teach) seen.looks.set(file, await kept(file, (picture) => teacher.lookAt(picture)))
    for (const { file } of test)
      tests.push({
        file,
        state: states.indexOf(state),
        seen: await glance(file),
      })
  }
  seen.tests.set(task.name, tests)
  const none = join(folder, 'none', task.name)
  const files = existsSync(none) ? readdirSync(none) : []
  const all = []
  for (const file of files) all.push({ kind: file.split('-')[0], seen: await glance(`none/${task.name}/${file}`) })
  seen.none.set(task.name, all)
  process.stderr.write(`${task.name}: looked at ${tests.length} pictures\n`)
}

/** What a picture looks like, from the kept vectors if there are any. */
async function kept(file, look) {
  const vectors = values.keep && join(values.keep, teacher.network, `${file.replaceAll('/', '__')}.f32`)
  if (vectors && existsSync(vectors)) {
    const bytes = readFileSync(vectors)
    return unpacked(
      new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
      teacher.rawLength,
    )
  }
  const looks = await look(await decodeFile(join(folder, file)))
  if (vectors) {
    mkdirSync(dirname(vectors), { recursive: true })
    writeFileSync(vectors, new Uint8Array(packed(looks).buffer))
  }
  return looks
}

async function glance(file) {
  const [one] = await kept(file, async (picture) => [await teacher.glanceAt(picture)])
  return one
}

/** Other tasks' pictures are strangers too, except between meters. */
function strangersTo({ name }) {
  const isMeter = (other) => other.endsWith('-meter')
  return tasks
    .filter((other) => other.name !== name && !(isMeter(name) && isMeter(other.name)))
    .flatMap((other) => seen.tests.get(other.name).filter((_, i) => i % 7 === 0))
    .map((one) => ({ kind: 'other', seen: one.seen }))
}

async function runDraw(task, files) {
  const states = Object.keys(task.states)
  const looks = files.flatMap((file, picture) => {
    const state = states.indexOf(file.split('/')[1])
    return seen.looks.get(file).map((one) => ({ ...one, state, picture }))
  })
  const fit = await teacher.fit(states, looks, [])
  const answers = seen.tests
    .get(task.name)
    .map((one) => ({ ...one, answer: answerOf(fit.head, teacher.parts, one.seen) }))
  const right = states.map((_, s) => {
    const ofState = answers.filter(({ state }) => state === s)
    return mean(ofState.map(({ answer }) => (answer.state === s ? 1 : 0)))
  })
  const others = [...seen.none.get(task.name), ...strangersTo(task)].map(({ kind, seen: one }) => ({
    kind,
    isNovel: answerOf(fit.head, teacher.parts, one).cause !== null,
  }))
  return { fit, accuracy: mean(right), answers, others }
}

/** Expected calibration error over 15 bins. */
function calibrationError(answers) {
  const bins = Array.from({ length: 15 }, () => [])
  for (const { answer, state } of answers)
    bins[Math.min(14, Math.floor(answer.score * 15))].push([answer.score, answer.state === state ? 1 : 0])
  return bins
    .filter(({ length }) => length > 0)
    .reduce(
      (sum, bin) =>
        sum + (bin.length / answers.length) * Math.abs(mean(bin.map(([s]) => s)) - mean(bin.map(([, r]) => r))),
      0,
    )
}

/** Whether the written file answers as the head in memory does, on the first pictures of a task. */
async function compareWithFile({ fit, answers }) {
  const place = mkdtempSync(join(tmpdir(), 'gapcam-tasks-'))
  const file = join(place, 'head.onnx')
  writeFileSync(file, teacher.write(fit.head))
  const classifier = await openClassifier({ model: file, ...engine })
  try {
    for (const { file: picture, answer } of answers.slice(0, 20)) {
      const outcome = await classifier.classify(frameOf(await decodeFile(join(folder, picture))))
      const { top, novelty } = outcome.prediction
      const isSame = top[0].index === answer.state && Math.abs(top[0].score - answer.score) < 0.01
      if (!isSame || (novelty?.cause ?? null) !== answer.cause)
        process.stderr.write(
          `${picture}: the file says ${JSON.stringify(top[0])}, the head ${JSON.stringify(answer)}\n`,
        )
    }
  } finally {
    await classifier.close()
    rmSync(place, { recursive: true })
  }
}

const results = {}
for (const size of sizes) {
  const byTask = {}
  for (const task of tasks) {
    const runs = []
    for (const files of draws[task.name][size].slice(0, Number(values.draws))) runs.push(await runDraw(task, files))
    if (!values.fast && size === 5) await compareWithFile(runs[0])
    byTask[task.name] = runs
  }
  results[size] = summary(byTask)
  if (!values.json) print(size, results[size])
}

function summary(byTask) {
  const accuracies = Object.entries(byTask).map(([name, runs]) => [name, mean(runs.map(({ accuracy }) => accuracy))])
  const answers = Object.values(byTask).flatMap((runs) => runs.flatMap((run) => run.answers))
  const wrongly = Object.values(byTask).map((runs) =>
    mean(runs.flatMap((run) => run.answers).map(({ answer }) => (answer.cause ? 1 : 0))),
  )
  const others = Object.values(byTask).flatMap((runs) => runs.flatMap((run) => run.others))
  const called = Object.fromEntries(
    Object.entries(groupsOfNone).map(([group, kinds]) => {
      const shares = kinds.map((kind) =>
        others.filter((one) => one.kind === kind).map(({ isNovel }) => (isNovel ? 1 : 0)),
      )
      return [group, percent(mean(shares.filter(({ length }) => length > 0).map(mean)))]
    }),
  )
  return {
    accuracy: percent(mean(accuracies.map(([, value]) => value))),
    worst: percent(Math.min(...accuracies.map(([, value]) => value))),
    calibration: percent(calibrationError(answers)),
    calledUnknown: { taught: percent(mean(wrongly)), worstTask: percent(Math.max(...wrongly)), ...called },
    tasks: Object.fromEntries(accuracies.map(([name, value]) => [name, percent(value)])),
  }
}
await teacher.close()
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`)

function print(size, { accuracy, worst, calibration, calledUnknown: u, tasks: each }) {
  process.stdout.write(
    `${size} a state: ${accuracy} % right (worst task ${worst}), calibration error ${calibration} %, taught called unknown ${u.taught} % (worst ${u.worstTask}), other scenes ${u.other} %, covered, fog, night ${u.covered} %, black, overexposed, blurred ${u.spoiled} %\n`,
  )
  const byTask = Object.entries(each).map(([name, value]) => `${name} ${value}`)
  process.stdout.write(`  ${byTask.join(', ')}\n`)
}
