import { homedir } from 'node:os'
import { expect, it } from 'vitest'
import { stateDirectory } from '../../src/config/state-directory.js'

it("the state directory is the configured one, else the service manager's, else the user's, with a folder per node", () => {
  const environment = { STATE_DIRECTORY: '/var/lib/gapcam:/var/lib/other', XDG_STATE_HOME: '/home/x/state' }
  expect(stateDirectory({ stateDir: '/data', node: 'dock1' }, environment)).toBe('/data/dock1')
  expect(stateDirectory({ stateDir: undefined, node: 'dock1' }, environment)).toBe('/var/lib/gapcam/dock1')
  expect(stateDirectory({ stateDir: undefined, node: 'dock1' }, { XDG_STATE_HOME: '/home/x/state' })).toBe(
    '/home/x/state/gapcam/dock1',
  )
  expect(stateDirectory({ stateDir: undefined, node: 'dock1' }, {})).toBe(`${homedir()}/.local/state/gapcam/dock1`)
  expect(stateDirectory({ stateDir: 'here', node: 'dock1' }, {})).toBe(`${process.cwd()}/here/dock1`)
})
