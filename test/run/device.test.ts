import { expect, it } from 'vitest'
import { boardName } from '../../src/run/device.js'

it.each([
  ['Raspberry Pi 5 Model B Rev 1.0', 'arm64', 'Raspberry Pi 5 Model B Rev 1.0'],
  [undefined, 'x64', 'x86-64 computer'],
  ['', 'arm64', 'ARM64 computer'],
  ['To Be Filled By O.E.M.', 'x64', 'x86-64 computer'],
  ['Default string', 'x64', 'x86-64 computer'],
  ['System Product Name', 'x64', 'x86-64 computer'],
  [undefined, 'riscv64', 'riscv64 computer'],
])('a board that the firmware calls %j on %s is a %s', (name, architecture, model) => {
  expect(boardName(name, architecture)).toBe(model)
})
