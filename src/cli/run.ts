/**
 * `gapcam run [SOURCE]`: cameras to labels on MQTT. It parses flags, prints, and waits; `run/node.ts` does the work. A
 * requested restart happens in this process, unless a service manager supervises it and starts a new one.
 */
import type { Command } from 'commander'
import type { Config } from '../config/schema.js'
import { exitStatus } from '../errors.js'
import { createLogger, type Logger } from '../log.js'
import type { Commands } from '../run/commands/commands.js'
import { openNode, type Node, type NodeOptions } from '../run/node.js'
import type { RunEnd } from '../run/runtime.js'
import { findServiceManager, type ServiceManager } from '../service/manager.js'
import { addCameraFlags, addFlags, camerasFrom, configFrom, type FlagValues } from './flags.js'
import { releaseMemory } from './memory.js'
import { wantsJson } from './output.js'
import { Banner, writeSettled, writeSummary } from './run-report.js'
import { untilSignal, type Stop } from './signals.js'

/** Registers the command. */
export function runCommand(program: Command): void {
  const command = program
    .command('run', { isDefault: false })
    .description('classify what cameras see and publish it')
    .argument('[source]', 'camera URI, picture, folder or video')
  addCameraFlags(addFlags(command)).action(async (source: string | undefined, values: FlagValues) => {
    const read = (): ReadConfig => {
      const { config, warnings } = configFrom(values)
      return { config: { ...config, cameras: [...camerasFrom(config.cameras, source, values)] }, warnings }
    }
    await untilSignal((stop) => runUntilStopped(read, stop))
  })
}

interface ReadConfig {
  readonly config: Config
  readonly warnings: readonly string[]
}

/** Runs nodes, one after the other where restarts are requested, each with the configuration as it is then. */
async function runUntilStopped(read: () => ReadConfig, stop: Stop): Promise<void> {
  let configured = read()
  const manager = findServiceManager(process.env, createLogger(configured.config.logLevel))
  const reload = listenForReload()
  try {
    for (;;) {
      const { config, warnings } = configured
      const log = createLogger(config.logLevel)
      for (const warning of warnings) log.warn(warning)
      const end = await runOnce({ config, log, manager, reload, readConfig: () => read().config }, stop)
      if (end === 'ended' || stop.signal.aborted) return
      // A service manager starts a new process, and a lost CUDA needs one: a process cannot open its GPU again.
      if (end === 'cuda_lost' || manager.isThere) {
        process.exitCode = exitStatus.restart
        return
      }
      configured = read()
    }
  } finally {
    reload.close()
  }
}

interface Once {
  readonly config: Config
  readonly log: Logger
  readonly manager: ServiceManager
  readonly reload: Reload
  readonly readConfig: () => Config
}

/** One node from opening to closing. */
async function runOnce({ config, log, manager, reload, readConfig }: Once, stop: Stop): Promise<RunEnd> {
  const isJson = wantsJson(config.json)
  const banner = new Banner(config)
  const node: Node = await openNode(
    {
      config,
      log,
      readConfig,
      manager,
      startPage: pageStarter(config),
      canRestart: true,
      onMissingCamera: (reason) => process.stderr.write(`no camera: ${reason}\n`),
      onCamera: (camera, description, pixelPath) => banner.show(node, camera, description, pixelPath),
      onSettled: (camera, decision, prediction) => {
        if (stop.isStdoutClosed()) return
        writeSettled(isJson, camera, decision, prediction, node.classifier.engine.describe().reason)
      },
    },
    stop.signal,
  )
  const endRelease = releaseMemory()
  try {
    reload.serve(node.commands, log)
    const end = await node.run()
    writeSummary(node)
    return end
  } finally {
    endRelease()
    reload.pause()
    await node.close()
  }
}

/** Only nodes that serve the page load what it needs. Loading begins at once and goes on while the model opens. */
function pageStarter({ page }: Config): NodeOptions['startPage'] {
  if (!page.enabled) return undefined
  const loading = import('../server/page.js')
  loading.catch(() => undefined) // reported where it is awaited
  return async (parts) => (await loading).startPage(parts)
}

interface Reload {
  /** Requests go to these commands, also those that came while no node was open. */
  serve(commands: Commands, log: Logger): void
  /** Requests wait for the next node. */
  pause(): void
  close(): void
}

/**
 * SIGHUP reads the configuration again where a service manager sends it. On a terminal it keeps its meaning: the
 * terminal has gone. A SIGHUP during the start waits until the node is open.
 */
function listenForReload(): Reload {
  if (process.stdin.isTTY || process.stderr.isTTY)
    return { serve: () => undefined, pause: () => undefined, close: () => undefined }
  let serving: { readonly commands: Commands; readonly log: Logger } | null = null
  let isWaiting = false
  const reload = async (): Promise<void> => {
    isWaiting = serving === null
    if (!serving) return
    const { commands, log } = serving
    const result = await commands.execute({ kind: 'reload' }, 'signal')
    // A signal has no answer but the log.
    if (result.status === 'error')
      log.error({ code: 'CONFIG_INVALID' }, `the configuration is not read again, and stays as it was: ${result.error}`)
  }
  const onSignal = (): void => void reload()
  process.on('SIGHUP', onSignal)
  return {
    serve(commands, log) {
      serving = { commands, log }
      if (isWaiting) onSignal()
    },
    pause() {
      serving = null
    },
    close: () => void process.off('SIGHUP', onSignal),
  }
}
