/**
 * The systemd unit as text. The service gets a user that exists only while it runs, read access to the files that it needs,
 * one writable folder, the devices of cameras and GPUs, and the network. It gets nothing else.
 */

/** The prefix of an argument that lies in the service's credentials folder, which systemd creates at each start (specifier %d). */
export const credentialPrefix = '%d/'

/** What `unitText` writes into the unit. */
export interface UnitOptions {
  /** Absolute path of the Node executable. */
  readonly node: string
  /** Absolute path of gapcam's program file. */
  readonly program: string
  /** Arguments of the program. */
  readonly args: readonly string[]
  /** Secret files, with the name under which gapcam finds each in $CREDENTIALS_DIRECTORY. */
  readonly credentials: readonly { readonly name: string; readonly file: string }[]
  /** Files and folders below /home, /root or /tmp that the service needs; the rest there is hidden. */
  readonly readable: readonly string[]
  /** Groups of this machine that own camera and GPU devices. */
  readonly groups: readonly string[]
  /** Whether the native addon is present to notify systemd of readiness and progress. */
  readonly canNotify: boolean
  /** systemd ends the service after this many seconds without a notification. */
  readonly watchdogS: number
  /** systemd's MemoryMax, such as 1G or 60%. */
  readonly memoryMax: string
}

/** The first line of every unit that gapcam writes. A unit without it was written by someone else and is not replaced. */
export const unitHeader = '# Written by gapcam service install. For changes of your own: systemctl edit gapcam'

/**
 * Devices, most by their driver's name in /proc/devices: V4L2, media controllers, the buffers and the mailbox of the Pi's
 * camera stack, and those of a Jetson. systemd ignores devices that a board does not have.
 */
const devices = [
  'char-video4linux',
  'char-media',
  'char-dma_heap',
  'char-vcio',
  'char-vchiq',
  'char-drm',
  '/dev/udmabuf',
  '/dev/vchiq',
  '/dev/vcio',
  'char-nv*',
  '/dev/nvmap',
  '/dev/nvidiactl',
  '/dev/nvidia0',
]

/** The whole unit. */
export function unitText(options: UnitOptions): string {
  const lines = [
    unitHeader,
    ...dependencyLines,
    '',
    ...processLines(options),
    '',
    ...fileLines(options),
    '',
    ...resourceLines(options),
    '',
    ...confinementLines,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ]
  return `${lines.join('\n')}\n`
}

const dependencyLines = [
  '[Unit]',
  'Description=gapcam: a camera as an image classifier on MQTT',
  'Wants=network-online.target',
  // Certificates need the time. Argus serves a Jetson's CSI cameras. systemd ignores units that are not installed.
  'After=network-online.target time-sync.target nvargus-daemon.service',
  // A camera or model that is missing now may be there later, so systemd never gives up.
  'StartLimitIntervalSec=0',
]

/**
 * Leaves the mark by which the next start knows that the program hung (`hangFileOf`): a program that is stopped as a whole
 * cannot leave it by itself.
 */
const markHang =
  `ExecStopPost=-/bin/sh -c 'test "$$SERVICE_RESULT" = watchdog || exit 0; ` +
  `for folder in "$$STATE_DIRECTORY"/*/bundles; do test ! -d "$$folder" || : > "$$folder/hung"; done'`

/** How the service starts, reports progress, is restarted and stops. */
function processLines({ node, program, args, credentials, canNotify, watchdogS }: UnitOptions): string[] {
  return [
    '[Service]',
    ...(canNotify
      ? ['Type=notify', 'NotifyAccess=main', `WatchdogSec=${watchdogS}`, 'WatchdogSignal=SIGKILL', markHang]
      : ['# Without the native addon gapcam cannot notify systemd, so there is no watchdog.', 'Type=exec']),
    `ExecStart=${[node, program, ...args].map(word).join(' ')}`,
    'ExecReload=kill -HUP $MAINPID',
    'Environment=GAPCAM_WAIT_FOR_CAMERAS=true HOME=%S/gapcam',
    ...credentials.map(({ name, file }) => `LoadCredential=${name}:${specifier(file)}`),
    'Restart=on-failure',
    'RestartSec=2',
    'SuccessExitStatus=130 143',
    'RestartPreventExitStatus=2',
    // SIGTERM goes to gapcam alone, which ends its children. systemd kills what remains.
    'KillMode=mixed',
    // The first start on a small board compiles and packs the model, which takes seconds.
    'TimeoutStartSec=180',
    'TimeoutStopSec=15',
  ]
}

/** The user of the service, and the files that it may read and write. */
function fileLines({ groups, readable }: UnitOptions): string[] {
  return [
    '# The user, and the only folder that it may write: %S/gapcam',
    'DynamicUser=yes',
    ...(groups.length === 0 ? [] : [`SupplementaryGroups=${groups.join(' ')}`]),
    'StateDirectory=gapcam',
    'StateDirectoryMode=0700',
    'RuntimeDirectory=gapcam',
    'UMask=0077',
    'ProtectSystem=strict',
    'ProtectHome=tmpfs',
    ...(readable.length === 0 ? [] : [`BindReadOnlyPaths=${readable.map(word).join(' ')}`]),
    'PrivateTmp=yes',
    'PrivateMounts=yes',
    "# CSI cameras of a Jetson: the service has its own /tmp, but the socket of Argus lies in the machine's",
    'BindPaths=-/tmp/argus_socket',
  ]
}

/** Devices, memory, processes and networks. */
function resourceLines({ memoryMax }: UnitOptions): string[] {
  return [
    '# Devices, memory and networks',
    'DevicePolicy=closed',
    ...devices.map((device) => `DeviceAllow=${device} rw`),
    `MemoryMax=${memoryMax}`,
    'TasksMax=256',
    // Netlink serves the list of network interfaces, and udev's camera events for libcamera.
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  ]
}

const confinementLines = [
  '# Everything that gapcam does not need. MemoryDenyWriteExecute is missing because V8 compiles at run time, and',
  '# ProcSubset=pid because gapcam reads /proc/cpuinfo and /proc/meminfo.',
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=',
  'AmbientCapabilities=',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectProc=invisible',
  'LockPersonality=yes',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'KeyringMode=private',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallFilter=~@privileged @resources',
  'SystemCallErrorNumber=EPERM',
]

/** Escapes %, which begins a specifier in a unit's values. */
function specifier(text: string): string {
  return text.replaceAll('%', '%%')
}

/** One word of a command line or list, quoted by systemd.syntax(7) and with the escapes of systemd.service(5) for $ and %. */
function word(text: string): string {
  const plain = text.startsWith(credentialPrefix) ? text : specifier(text).replaceAll('$', '$$$$')
  return /^[\w@%+=:,./$-]+$/.test(plain) ? plain : `"${plain.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`
}
