/** Every word that the page says. */
export const text = {
  brand: 'gapcam',
  camera: 'Camera',
  link: { live: 'Live', connecting: 'Connecting', lost: 'Connection lost, trying again', silent: 'No picture' },
  picture: { label: 'Live picture', of: (camera: string, label: string) => `Picture of ${camera}: ${label}`, frozen: (time: string) => `Frozen at ${time}`, none: 'No picture yet', noFrames: 'The camera delivers no frames', elsewhere: 'Looking elsewhere',
    problems: { frozen: 'The picture is frozen', black: 'The picture is black', overexposed: 'The picture is overexposed', blurred: 'The picture is blurred', covered: 'The lens is covered', moved: 'The camera has moved' } as Readonly<Record<string, string>>,
  },
  tools: { label: 'Picture tools', freeze: 'Freeze', goOn: 'Go on', region: 'Region', heat: 'Heat', focus: 'Focus box', snapshot: 'Snapshot', wrong: 'This is wrong', pause: 'Pause camera', resume: 'Resume camera' },
  region: {
    title: 'Region', hint: 'Drag on the picture, or give shares of the frame in percent. The camera then looks at this part only.',
    left: 'Left', top: 'Top', width: 'Width', height: 'Height', whole: 'Whole frame', done: 'Done', set: 'The region is set', cleared: 'The camera looks at the whole frame',
  },
  verdict: {
    label: 'Label', unknown: 'unknown', since: (time: string) => `for ${time}`, score: 'score', best: 'Best scores', threshold: 'Threshold', thresholdHelp: 'A label needs at least this score',
    thresholdSet: (value: string) => `Threshold ${value}`,
    reasons: {
      starting: 'waiting for the first frame', settling: 'not sure yet', low_confidence: 'no score is above the threshold', model_changed: 'the model has changed',
      camera_lost: 'the camera is lost', camera_stale: 'the camera delivers no frames', camera_disabled: 'the camera is paused',
    } as Readonly<Record<string, string>>,
  },
  wrong: { title: 'This is wrong', hint: 'Keeps this picture with everything that was computed from it, on the device.', note: 'What is it really? (may stay empty)', keep: 'Keep the picture', cancel: 'Cancel', kept: 'Kept on the device', keptNext: 'Kept; the picture had gone, so it is the next one' },
  history: { title: 'Labels', window: 'last 10 minutes', empty: 'No label yet', ago: (time: string) => `${time} ago`, list: 'Changes of the label, newest first' },
  latency: {
    title: 'From light to label', window: 'medians by stage, last 10 minutes', unit: 'ms', plot: (total: string) => `Stacked medians of all stages, ${total} milliseconds now`, stage: 'stage', total: 'sum of medians',
    stages: { capture: 'capture', preprocess: 'prepare', infer: 'infer', decide: 'decide' },
  },
  health: {
    title: 'Health', fps: 'Frames a second', dropped: 'Dropped', invalid: 'Unusable', recoveries: 'Camera back', temperature: 'Temperature', memory: 'Memory', uptime: 'Up', broker: 'MQTT', queue: 'Queue', noBroker: 'none', connected: 'connected', away: 'not connected',
    throttled: 'throttled', undervolted: 'weak supply', lost: (n: number) => `${n} lost`,
  },
  controls: { title: 'Camera controls', none: 'This camera has no controls that can be set from here.', auto: 'decided automatically', failed: 'The camera did not take it' },
  about: { title: 'About', model: 'Model', engine: 'Engine', why: 'Why', topics: 'Topics', version: 'Version', camera: 'Camera', labels: (n: number) => `${n} labels`, threads: (n: number) => `${n} ${n === 1 ? 'thread' : 'threads'}` },
  token: { title: 'Token', hint: 'This device asks for its page token.', field: 'Token', open: 'Open', wrong: 'That is not it' },
  units: { s: 's', min: 'min', h: 'h', d: 'd' },
} as const
