/**
 * The systemd unit as text. It gives the service a user that exists only while it runs, the files that it needs to read,
 * one folder to write to, the cameras' devices, and the network; and takes everything else away.
 */

/** In an argument: the folder of the service's credentials, which systemd makes at each start (its specifier %d). */
export const credentialPrefix = '%d/'

export interface UnitOptions {
  /** Absolute path of the Node that runs gapcam. */
  readonly node: string
  /** Absolute path of gapcam's program file. */
  readonly program: string
  /** Behind the program. */
  readonly args: readonly string[]
  /** Secrets by the name under which gapcam looks for them in $CREDENTIALS_DIRECTORY, with the files that hold them. */
  readonly credentials: readonly { readonly name: string; readonly file: string }[]
  /** Files and folders below /home, /root or /tmp that are needed: all else there is hidden. */
  readonly readable: readonly string[]
  /** Groups that exist here and own camera and GPU devices. */
  readonly groups: readonly string[]
  /** Whether the addon is there to tell systemd of readiness and progress. */
  readonly canNotify: boolean
  /** systemd ends the service when it has heard of no progress for so long. */
  readonly watchdogS: number
  /** Such as 1G or 60%. */
  readonly memoryMax: string
}

/** The first line of every unit of ours: what does not begin with it is somebody else's. */
export const unitHeader = '# Written by gapcam service install. For changes of your own: systemctl edit gapcam'

/**
 * Devices by their driver's name in /proc/devices: V4L2, media controllers, the buffers and the mailbox of a Pi's
 * camera stack, and a Jetson's. What a board does not have, systemd passes over.
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

export function unitText(options: UnitOptions): string {
  const { node, program, args, credentials, readable, groups, canNotify, watchdogS, memoryMax } = options
  const lines = [
    unitHeader,
    '[Unit]',
    'Description=gapcam: a camera as an image classifier on MQTT',
    'Wants=network-online.target',
    // Certificates need the time; Argus serves a Jetson's CSI cameras. Each only where it is installed.
    'After=network-online.target time-sync.target nvargus-daemon.service',
    // A camera or model that is not there today may be there tomorrow: systemd never gives up.
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    ...(canNotify
      ? ['Type=notify', 'NotifyAccess=main', `WatchdogSec=${watchdogS}`, 'WatchdogSignal=SIGKILL']
      : ['# The native addon is not there: systemd is not told of progress, and no watchdog runs.', 'Type=exec']),
    `ExecStart=${[node, program, ...args].map(word).join(' ')}`,
    'ExecReload=kill -HUP $MAINPID',
    'Environment=GAPCAM_WAIT_FOR_CAMERAS=true HOME=%S/gapcam',
    ...credentials.map(({ name, file }) => `LoadCredential=${name}:${specifier(file)}`),
    'Restart=on-failure',
    'RestartSec=2',
    'SuccessExitStatus=130 143',
    'RestartPreventExitStatus=2',
    // SIGTERM to gapcam alone, which ends its children; what is left is killed.
    'KillMode=mixed',
    // The first start on a small board compiles the model and packs it: seconds, not minutes.
    'TimeoutStartSec=180',
    'TimeoutStopSec=15',
    '',
    '# Who it is and what it may write: %S/gapcam, nothing else',
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
    "# A Jetson's CSI cameras: /tmp is our own, and the socket of Argus is in the other one",
    'BindPaths=-/tmp/argus_socket',
    '',
    '# What it may use',
    'DevicePolicy=closed',
    ...devices.map((device) => `DeviceAllow=${device} rw`),
    `MemoryMax=${memoryMax}`,
    'TasksMax=256',
    // Netlink: the list of interfaces, and udev's word of cameras for libcamera.
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
    '',
    '# What it does not need. No MemoryDenyWriteExecute: V8 compiles while it runs. No ProcSubset=pid: /proc/cpuinfo and meminfo are read',
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
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ]
  return `${lines.join('\n')}\n`
}

/** % begins a specifier in a unit's values. */
function specifier(text: string): string {
  return text.replaceAll('%', '%%')
}

/** One word of a command line or list: systemd.syntax(7) and the escapes of systemd.service(5), $ and % included. */
function word(text: string): string {
  const plain = text.startsWith(credentialPrefix) ? text : specifier(text).replaceAll('$', '$$$$')
  return /^[\w@%+=:,./$-]+$/.test(plain) ? plain : `"${plain.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`
}
