// The hardware of a GPIO chip for the virtual machine: a CP2112, a USB bridge with eight lines, as a device of /dev/uhid. The
// kernel's own driver (hid-cp2112) makes /dev/gpiochip0 of it, with edges that it finds by polling.
//
//   node gpio-chip.mjs     a line of stdin sets an input, such as `3=1`; each output that changes is printed likewise
//
// It prints `ready` when the driver has taken the device. Reports are those of Silicon Labs' application note 495.
import { openSync, read, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Types of uhid's events. */
const uhid = { open: 4, getReport: 9, getReportReply: 10, create: 11, setReport: 13, setReportReply: 14 }
const eventBytes = 4380
const busUsb = 3
const lines = 8

/** Reports by number: what the driver reads, or writes and reads again. `directions` has a bit for each output. */
const reports = { directions: 0x02, levels: 0x03, set: 0x04, version: 0x05, bus: 0x06, lock: 0x20 }
const kept = new Map([
  [reports.directions, Buffer.from([reports.directions, 0, 0, 0, 0])],
  [reports.version, Buffer.from([reports.version, 0x0c, 3])],
  [reports.bus, Buffer.concat([Buffer.from([reports.bus, 0, 1, 0x86, 0xa0, 2]), Buffer.alloc(8)])],
  [reports.lock, Buffer.from([reports.lock, 0])],
])
/** The levels of inputs, from outside, and of outputs, from the driver; a bit for each line. */
let inputs = 0
let outputs = 0

const device = openSync('/dev/uhid', 'r+')
const send = (type, ...parts) => writeSync(device, Buffer.concat([u32(type), ...parts]))

function u16(value) {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** A text in a field of `bytes`. */
function field(text, bytes) {
  const field = Buffer.alloc(bytes)
  field.write(text)
  return field
}

/** One vendor's collection with one feature report; the driver does not look into it. */
const descriptor = Buffer.from([
  0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x85, 0x02, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x04, 0x09,
  0x01, 0xb1, 0x02, 0xc0,
])

const driven = () => outputs & kept.get(reports.directions)[1]
const levels = () => driven() | (inputs & ~kept.get(reports.directions)[1])

function answer(id, number) {
  const report = number === reports.levels ? Buffer.from([number, levels()]) : kept.get(number)
  if (report === undefined) send(uhid.getReportReply, u32(id), u16(5), u16(0))
  else send(uhid.getReportReply, u32(id), u16(0), u16(report.length), report)
  if (number === reports.lock) console.log('ready') // the last thing that the driver asks for while it starts
}

function take(number, report) {
  const before = driven()
  if (number === reports.set) outputs = (outputs & ~report[2]) | (report[1] & report[2])
  else kept.set(number, report)
  const after = driven()
  for (let line = 0; line < lines; line++)
    if (((before ^ after) >> line) & 1) console.log(`${line}=${(after >> line) & 1}`)
}

function onEvent(event) {
  const type = event.readUInt32LE(0)
  const id = event.readUInt32LE(4)
  if (type === uhid.getReport) answer(id, event[8])
  if (type !== uhid.setReport) return
  take(event[8], Buffer.from(event.subarray(12, 12 + event.readUInt16LE(10))))
  send(uhid.setReportReply, u32(id), u16(0))
}

function next() {
  const event = Buffer.alloc(eventBytes)
  read(device, event, 0, eventBytes, null, (error) => {
    if (error) throw error
    onEvent(event)
    next()
  })
}

const ids = [u32(0x10c4), u32(0xea90), u32(0), u32(0)]
send(
  uhid.create,
  Buffer.concat([field('CP2112', 128), field('', 64), field('', 64)]),
  u16(descriptor.length),
  u16(busUsb),
  ...ids,
  descriptor,
)
next()
createInterface({ input: process.stdin }).on('line', (text) => {
  const [line, level] = text.split('=').map(Number)
  inputs = level ? inputs | (1 << line) : inputs & ~(1 << line)
})
