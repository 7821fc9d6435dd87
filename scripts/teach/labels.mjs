// How well wrong labels are found: 100 pictures of each task, 5 % of them under a wrong state, in three draws.
//   node scripts/teach/labels.mjs FOLDER [--model FILE]
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { decodeFile } from '../../dist/pixels/decode.js'
import { reportOf } from '../../dist/teach/report.js'
import { openTeacher } from '../../dist/teach/teacher.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: new URL('../../models/efficientnet-lite0.onnx', import.meta.url).pathname },
  },
})
const [folder] = positionals
if (!folder) throw new Error('usage: node scripts/teach/labels.mjs FOLDER')
const { tasks } = JSON.parse(readFileSync(join(folder, 'tasks.json'), 'utf8'))
const teacher = await openTeacher({ model: values.model, engine: {} })
const [all, wrongShare, draws] = [100, 0.05, 3]
const counts = { found: 0, falsely: 0, missed: 0 }

for (const task of tasks) {
  const states = Object.keys(task.states)
  const files = states.flatMap((state, s) =>
    task.states[state].teach.slice(0, Math.floor(all / states.length)).map(({ file }) => ({ file, state: s })),
  )
  if (files.length < 60) continue
  const seen = []
  for (const { file } of files) seen.push(await teacher.lookAt(await decodeFile(join(folder, file))))
  const own = { found: 0, falsely: 0, missed: 0 }
  for (let draw = 0; draw < draws; draw++) {
    const random = randomOf(draw * 7919 + 13)
    const wrong = new Set()
    while (wrong.size < Math.round(files.length * wrongShare)) wrong.add(Math.floor(random() * files.length))
    const labels = files.map(({ state }, i) =>
      wrong.has(i) ? (state + 1 + Math.floor(random() * (states.length - 1))) % states.length : state,
    )
    const looks = seen.flatMap((ofPicture, picture) =>
      ofPicture.map((one) => ({ ...one, state: labels[picture], picture })),
    )
    const { doubts } = await reportOf(states, looks, await teacher.fit(states, looks, []))
    const doubted = new Set(doubts.map(({ picture }) => picture))
    for (let i = 0; i < files.length; i++) {
      if (doubted.has(i)) own[wrong.has(i) ? 'found' : 'falsely']++
      else if (wrong.has(i)) own.missed++
    }
  }
  console.log(`${task.name.padEnd(16)} ${line(own)}`)
  for (const key of Object.keys(counts)) counts[key] += own[key]
}
console.log(`${'all'.padEnd(16)} ${line(counts)}`)
await teacher.close()

function line({ found, falsely, missed }) {
  const percent = (share) => `${(share * 100).toFixed(0)} %`
  return `found ${found} of ${found + missed}, precision ${percent(found / (found + falsely))}, recall ${percent(found / (found + missed))}`
}

function randomOf(start) {
  let seed = start
  return () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return seed / 0x7fffffff
  }
}
