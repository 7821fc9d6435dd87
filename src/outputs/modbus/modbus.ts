/** The Modbus TCP output: coils and registers of the zones, as the configuration says. */
import type { Config } from '../../config/schema.js'
import { systemClock } from '../../clock.js'
import { isLoopback } from '../../address/host.js'
import type { Logger } from '../../log.js'
import { openMapping } from '../mapping.js'
import type { OpenOutput, Switch } from '../output.js'
import { zoneFieldNames, type ZoneStates } from '../zone-states.js'
import { startModbusServer } from './server.js'
import { acceptValues, checkValuesTemplate, createZoneTables, plainValues } from './tables.js'

export interface ModbusOptions {
  readonly config: Pick<Config, 'modbus'>
  readonly zones: ZoneStates
  readonly setEnabled: Switch
  readonly log: Pick<Logger, 'info' | 'warn'>
}

/** Starts to listen. Rejects with CONFIG_INVALID for a template with an error, and with PORT_IN_USE. */
export async function openModbus({ config: { modbus }, zones, setEnabled, log }: ModbusOptions): Promise<OpenOutput> {
  const { host, port, maxClients, writeCoils, templateFile } = modbus
  const values = openMapping({
    ...{ key: 'modbus.templateFile', file: templateFile, names: zoneFieldNames, log },
    ...{ check: checkValuesTemplate, accept: acceptValues, plain: plainValues },
  })
  const beganMs = systemClock.now()
  const uptimeS = (): number => Math.floor((systemClock.now() - beganMs) / 1000)
  const tables = createZoneTables({ zones, values, uptimeS, setEnabled: writeCoils ? setEnabled : null })
  if (!isLoopback(host))
    log.warn(
      { output: 'modbus', host },
      `modbus: whoever reaches ${host} can read the zones${writeCoils ? ' and switch them' : ''}: Modbus has no passwords`,
    )
  const server = await startModbusServer({ host, port, maxClients, tables, log })
  return {
    name: 'modbus',
    health: () => ({ ...server.stats(), template_faults: values.faults() }),
    close: () => server.close(),
  }
}
