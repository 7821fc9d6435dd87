/**
 * What a running node does with bundles: it says what is installed on `R/bundle`, takes orders to install, confirm and roll
 * back, compares a candidate with the model that serves, and restarts where another bundle is to serve.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installBundle } from '../../bundle/install.js'
import { confirmed, rolledBack, type Entry } from '../../bundle/phases.js'
import { readPublicKey } from '../../bundle/signature.js'
import { latestOf, offersOf, withOffer, type Offer } from '../../bundle/sources.js'
import { builtInName } from '../../bundle/store.js'
import { openClassifier, type Classifier } from '../../classifier.js'
import { modelOptions } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import { GapcamError, messageOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import { bundlePayload, modelPayload } from '../../publish/payloads.js'
import type { Publisher } from '../../publish/publisher.js'
import type { Topics } from '../../publish/topics.js'
import { bundleReport, entryReport, shadowFields, type BundleReport } from './report.js'
import type { NodeBundles } from './bundles.js'
import type { Fields } from '../commands/fields.js'
import { Refusal } from '../commands/refusal.js'
import type { OwnWish } from '../zones/models.js'
import { idleShadow, openShadow, type Shadow } from './shadow.js'

/** Sources are asked at the start and then this often. */
const askEveryMs = 3_600_000
const sayEveryMs = 60_000
const ruleEveryMs = 5000

interface BundleServiceOptions {
  readonly config: Config
  readonly bundles: NodeBundles
  readonly shadow: Shadow | null
  readonly log: Pick<Logger, 'warn' | 'info'>
  /** Publishes the retained `R/bundle`. */
  readonly say: (fields: Fields) => void
  /** Publishes which version is offered, for Home Assistant's update entity. */
  readonly offer: (version: string | null) => void
}

/** The orders; each answers with what `R/bundle` then says. */
export interface BundleService {
  install(wanted: { readonly name?: string | undefined; readonly digest?: string | undefined }): Promise<Fields>
  confirm(name: string | undefined): Promise<Fields>
  rollback(name: string | undefined): Promise<Fields>
  /** The node's own bundle, and how its candidate compares; for the page. */
  report(): BundleReport
  /** A picture of the report as JPEG; null where there is none with this number. */
  picture(number: number): Promise<Buffer | null>
  /** From now on the node starts again where another bundle is to serve; before, a person must start it. */
  useRestart(restart: () => void): void
  close(): Promise<void>
}

/** Opens the candidate of the node's own model behind it, where one is in its shadow. Never rejects: the candidate may be bad. */
export async function openOwnShadow(
  config: Config,
  bundles: NodeBundles,
  classifier: Classifier,
  log: Pick<Logger, 'warn'>,
): Promise<Shadow | null> {
  const entry = bundles.own === null ? undefined : bundles.entry(bundles.own)
  if (entry?.phase !== 'shadow' || !entry.other) return null
  const { every, budget } = config.models.shadow ?? { every: 10, budget: 0.2 }
  const confirm = config.models.confirm
  const rule = confirm && { afterMs: confirm.after, agreement: confirm.agreement, noSlower: confirm.noSlower }
  try {
    const { labels: _labels, ...options } = modelOptions(config)
    const model = bundles.store.modelOf(entry.other)
    const open = (wish: OwnWish): Promise<Classifier> => openClassifier({ ...options, ...wish, model })
    const folder = join(bundles.store.folder, 'shadow')
    return await openShadow(classifier, await open({}), { every, budget, rule, folder, open, log })
  } catch (error) {
    const why = `the candidate ${entry.other.version} of ${bundles.own} cannot be opened: ${messageOf(error)}`
    return idleShadow(classifier, why, { log })
  }
}

/** What the service needs of a node. */
interface BundleParts extends Pick<BundleServiceOptions, 'config' | 'bundles' | 'shadow' | 'log'> {
  readonly topics: Topics
  readonly publisher: Pick<Publisher, 'keep'>
  readonly model: { readonly id: string; readonly version: string }
}

/** Starts the service. It says what is installed at once. */
export function openBundleService({ topics, publisher, model, ...rest }: BundleParts): BundleService {
  return new Service({
    ...rest,
    say: (fields) => publisher.keep({ ...topics.node('bundle'), payload: bundlePayload(fields) }),
    offer: (version) => publisher.keep({ ...topics.node('model'), payload: modelPayload(model, version) }),
  })
}

class Service implements BundleService {
  readonly #options: BundleServiceOptions
  readonly #timers: NodeJS.Timeout[] = []
  #offers: readonly Offer[] = []
  #restart: (() => void) | null = null
  /** Orders that change what is installed at present. */
  #changing = 0
  /** Of the candidate that is compared. */
  readonly #digest: string | undefined

  constructor(options: BundleServiceOptions) {
    this.#options = options
    const { bundles, log, shadow, config } = options
    this.#digest = bundles.own === null ? undefined : bundles.entry(bundles.own)?.other?.digest
    const hear = (isOther: boolean): void => {
      this.#say()
      if (!isOther) return
      log.info({}, 'another bundle is to serve or to be compared')
      if (this.#restart) this.#restart()
      else log.warn('another bundle is to serve or to be compared; start gapcam again')
    }
    // An order is answered before the node starts again.
    bundles.watch(hear, () => this.#changing > 0)
    this.#say()
    if (shadow)
      this.#timers.push(
        setInterval(() => this.#say(), sayEveryMs),
        setInterval(() => this.#decide(), ruleEveryMs),
      )
    if (config.models.sources.length > 0) {
      this.#timers.push(setInterval(() => void this.#ask(), askEveryMs))
      void this.#ask()
    }
    for (const timer of this.#timers) timer.unref()
  }

  async install({ name = this.#ownName(), digest }: Parameters<BundleService['install']>[0]): Promise<Fields> {
    const { config, bundles } = this.#options
    if (config.models.sources.length === 0)
      throw new Refusal('not_available', 'no source of bundles is configured (models.sources)')
    await this.#ask()
    const offer =
      digest === undefined
        ? latestOf(this.#offers, name, bundles.entry(name)?.rejected ?? [])
        : (this.#offers.find((one) => one.name === name && one.digest === digest) ?? null)
    if (!offer)
      throw new Refusal(
        'invalid',
        `no source has a bundle ${name}${digest === undefined ? '' : ` with the digest ${digest}`}`,
      )
    const { model: _model, labels: _labels, inputSize: _size, resize: _resize, ...engine } = modelOptions(config)
    const { trust, revoked, shadow } = config.models
    await withOffer(
      offer,
      () => bundles.store.downloads(),
      (file) =>
        this.#changes(() =>
          installBundle(file, {
            store: bundles.store,
            trust: { keys: trust.map(readPublicKey), revoked },
            origin: 'remote',
            isShadow: shadow !== undefined,
            engine,
            wanted: { name, digest: offer.digest },
          }),
        ),
    )
    return this.#fields()
  }

  confirm(name = this.#ownName()): Promise<Fields> {
    return this.#change(name, (entry) => confirmed(entry, name))
  }

  rollback(name = this.#ownName()): Promise<Fields> {
    return this.#change(name, (entry) => rolledBack(entry, name, name === builtInName, null))
  }

  report(): BundleReport {
    const { bundles, shadow } = this.#options
    return bundleReport(bundles.own, bundles.own === null ? undefined : bundles.entry(bundles.own), shadow)
  }

  async picture(number: number): Promise<Buffer | null> {
    const kept = this.#options.shadow?.pictures().find((picture) => picture.number === number)
    return kept ? readFile(kept.file).catch(() => null) : null
  }

  useRestart(restart: () => void): void {
    this.#restart = restart
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#keepReport()
  }

  #ownName(): string {
    const { own } = this.#options.bundles
    if (own === null) throw new Refusal('invalid', "name a bundle: the node's own model is a file")
    return own
  }

  async #change(name: string, change: (entry: Entry | undefined) => Entry): Promise<Fields> {
    const { store } = this.#options.bundles
    await this.#changes(() => store.alone(() => store.replace(name, change(store.entries()[name]))))
    return this.#fields()
  }

  async #changes<T>(work: () => Promise<T>): Promise<T> {
    this.#changing++
    try {
      return await work()
    } finally {
      this.#changing--
    }
  }

  /** Confirms by the rule of the configuration, which ends the shadow only: a probation is ended by a person, or from afar. */
  #decide(): void {
    const { shadow, bundles, log } = this.#options
    const { own } = bundles
    if (own === null || !this.#isCompared(bundles.entry(own)) || !shadow?.report().isGood) return
    const confirm = (entry: Entry | undefined): Entry => {
      if (this.#isCompared(entry)) return confirmed(entry, own)
      throw new Refusal('invalid', `${own} was confirmed or rolled back meanwhile`)
    }
    this.#change(own, confirm).then(
      () => log.info({}, 'the candidate serves from now on, as models.confirm says'),
      (error: unknown) => log.warn(messageOf(error)),
    )
  }

  /** Whether the candidate that this node compares still waits. */
  #isCompared(entry: Entry | undefined): boolean {
    return entry?.phase === 'shadow' && entry.other?.digest === this.#digest
  }

  async #ask(): Promise<void> {
    const { config, bundles, log, offer } = this.#options
    this.#offers = await offersOf(config.models.sources, (sentence) => log.warn(sentence))
    if (bundles.own === null) return
    offer(latestOf(this.#offers, bundles.own, bundles.entry(bundles.own)?.rejected ?? [])?.version ?? null)
  }

  #say(): void {
    this.#options.say(this.#fields())
    void this.#keepReport()
  }

  /** For `gapcam model shadow`, which asks no running node. */
  async #keepReport(): Promise<void> {
    const { shadow, bundles, log } = this.#options
    if (!shadow) return
    const report = { digest: this.#digest, ...shadow.report() }
    await writeFile(join(bundles.store.folder, 'shadow.json'), JSON.stringify(report)).catch((error: unknown) =>
      log.warn(`the shadow's report is not kept: ${messageOf(error)}`),
    )
  }

  #fields(): Fields {
    const { bundles, shadow } = this.#options
    let entries: Readonly<Record<string, Entry>> = {}
    try {
      entries = bundles.store.entries()
    } catch (error) {
      if (!(error instanceof GapcamError)) throw error
    }
    const own = bundles.own === null ? undefined : entries[bundles.own]
    return {
      name: bundles.own,
      ...entryReport(own),
      ...(shadow ? { shadow: shadowFields(shadow.report()) } : {}),
      others: Object.fromEntries(
        Object.entries(entries)
          .filter(([name]) => name !== bundles.own)
          .map(([name, entry]) => [name, entryReport(entry)]),
      ),
    }
  }
}
