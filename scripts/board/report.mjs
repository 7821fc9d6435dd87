// Writes one file to attach to a bug report: the board, the findings of gapcam doctor, the configuration, and the
// kernel's messages about cameras, supply and memory. Passwords, tokens and user names in addresses are removed.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { readKernelLog } from '../../dist/doctor/kernel-log.js'
import { keepSecret, redact } from '../../dist/secrets.js'

const help = `node scripts/board/report.mjs [--out FILE] [-- arguments of gapcam doctor]

  --out FILE       the report (default gapcam-report-HOST-DATE.md)
Example: node scripts/board/report.mjs -- v4l2:///dev/video0 --config /etc/gapcam.yaml`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string' }, help: { type: 'boolean', default: false } },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}
const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
for (const [name, value] of Object.entries(process.env))
  if (/^GAPCAM_.*(PASSWORD|TOKEN|SECRET)$/.test(name)) keepSecret(value)
// Secrets in the settings of our own command line.
for (const text of positionals) {
  const [, value] = /^(?:mqtt\.password|page\.token)=(.+)$/.exec(text) ?? []
  keepSecret(value)
}

const file = (path) => (existsSync(path) ? readFileSync(path, 'utf8').replaceAll('\0', '').trim() : null)

function outputOf(command, ...args) {
  const { stdout, stderr, error, status } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 16 << 20,
  })
  return error
    ? null
    : [stdout.trim(), status === 0 ? '' : `(status ${status}) ${stderr.trim()}`].filter(Boolean).join('\n')
}

const gapcam = (...args) => outputOf(process.execPath, cli, ...args)
/** Flags that `config show` takes as well. */
const shared = positionals.flatMap((text, i) =>
  text === '--config' || text === '--set' ? [text, positionals[i + 1]] : /^--(config|set)=/.test(text) ? [text] : [],
)
const log = await readKernelLog('/')
const sections = {
  board: [
    file('/proc/device-tree/model'),
    file('/etc/nv_tegra_release'),
    outputOf('uname', '-srm'),
    file('/etc/os-release')
      ?.split('\n')
      .find((line) => line.startsWith('PRETTY_NAME')),
  ]
    .filter(Boolean)
    .join('\n'),
  processor: [
    ...new Set(file('/proc/cpuinfo')?.match(/^(model name|Model|Hardware|Features|flags|CPU part)\s*:.*$/gm) ?? []),
  ].join('\n'),
  memory: file('/proc/meminfo')
    ?.split('\n')
    .filter((line) => /^(MemTotal|MemAvailable|SwapTotal|CmaTotal|CmaFree)/.test(line))
    .join('\n'),
  gapcam: [gapcam('--version'), `node ${process.version}`].join('\n'),
  configuration: gapcam('config', 'show', ...shared),
  doctor: gapcam('doctor', ...positionals),
  cameras: gapcam('cameras'),
  firmware: [
    outputOf('vcgencmd', 'get_throttled'),
    outputOf('vcgencmd', 'measure_temp'),
    outputOf('vcgencmd', 'version'),
  ]
    .filter(Boolean)
    .join('\n'),
  USB: outputOf('lsusb'),
  'kernel log':
    'why' in log
      ? log.why
      : log.text
          .split('\n')
          .filter((line) =>
            /camera|video|uvc|usb|csi|unicam|cfe|cma|mmc|voltage|thermal|throttl|oom|tegra|nvargus/i.test(line),
          )
          .slice(-200)
          .join('\n'),
}
const text = Object.entries(sections)
  .map(([name, body]) => `## ${name}\n\n\`\`\`\n${body || 'nothing'}\n\`\`\`\n`)
  .join('\n')
// The host name may reveal a person or a place.
const shown = redact(`# gapcam board report, ${new Date().toISOString()}\n\n${text}`).replaceAll(hostname(), '(host)')
const out = values.out ?? `gapcam-report-${hostname()}-${new Date().toISOString().slice(0, 10)}.md`
writeFileSync(out, shown)
console.log(`${out}: known secrets are removed; read it before you send it`)
