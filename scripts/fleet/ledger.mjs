// A consumer in a process of its own: it counts every event of every node by its number, and acknowledges what has no hole.
// Started by simulate.mjs.
import { connect } from 'mqtt'

const [url, nodes, perNode] = process.argv.slice(2)
const got = new Uint8Array(Number(nodes) * Number(perNode))
const through = new Uint32Array(Number(nodes))
const told = new Uint32Array(Number(nodes))
/** A node's outbox sends fifty events of its backlog ahead. */
const tellEvery = 25
let [received, repeated] = [0, 0]
const client = connect(url, { protocolVersion: 5, clean: true, reconnectPeriod: 200, keepalive: 60 })
client.on('error', () => undefined)
client.on('connect', () =>
  client.subscribe(['gapcam/+/cam0/event', 'gapcam/+/cam0/backlog'], { qos: 1 }, () => process.send({ isReady: true })),
)
client.on('message', (topic, payload) => {
  const node = Number(/^gapcam\/n(\d+)\//.exec(topic)?.[1])
  const seq = Number(/"seq":(\d+)/.exec(payload.toString())?.[1])
  const place = node * Number(perNode) + seq - 1
  const isRepeated = got[place] === 1
  if (isRepeated) repeated++
  else received++
  got[place] = 1
  while (through[node] < perNode && got[node * Number(perNode) + through[node]]) through[node]++
  // A number that was acknowledged comes again: the acknowledgement was lost.
  const isAgain = isRepeated && seq === told[node]
  if (!isAgain && through[node] < told[node] + tellEvery && through[node] < perNode) return
  told[node] = through[node]
  const boot = /"boot":"([^"]+)"/.exec(payload.toString())?.[1]
  client.publish(`gapcam/n${node}/ack`, JSON.stringify({ boot, through: through[node] }), { qos: 1 })
})
process.on('message', () => process.send({ received, repeated, lost: got.length - received }))
