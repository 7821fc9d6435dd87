/**
 * What a running node does with bundles: it says what is installed on `R/bundle`, takes orders to install, confirm and roll
 * back, compares a candidate with the model that serves, and restarts where another bundle is to serve.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readBundleHead, type BundleHead } from '../../bundle/archive.js'
import { installBundle, type Installed } from '../../bundle/install.js'
import { confirmed, rolledBack, type Entry } from '../../bundle/phases.js'
import { readPublicKey } from '../../bundle/signature.js'
import { latestOf, offersOf, withOffer, type Offer } from '../../bundle/sources.js'
import { builtInName } from '../../bundle/store.js'
import { judgeSignatures, type Trust } from '../../bundle/trust.js'
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
  /** Why bundles of the sources may not be installed, by digest: their signatures. */
  readonly #barred = new Map<string, string>()
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
    if (this.#options.config.models.sources.length === 0)
      throw new Refusal('not_available', 'no source of bundles is configured (models.sources)')
    await this.#ask()
    if (digest === undefined) return this.#installNewest(name)
    const offer = this.#offers.find((one) => one.name === name && one.digest === digest)
    if (!offer) throw new Refusal('invalid', `no source has a bundle ${name} with the digest ${digest}`)
    await this.#fetched(offer, (file) => this.#installFrom(file, offer))
    return this.#fields()
  }

  /** Installs the newest bundle whose signatures are enough. The answer says which ones were passed over, and why. */
  async #installNewest(name: string): Promise<Fields> {
    for (let offer = this.#newest(name); offer !== null; offer = this.#newest(name)) {
      const chosen = offer
      const done = await this.#fetched(chosen, async (file) => {
        if (!this.#isAllowed(chosen.head ?? (await readBundleHead(file)), chosen)) return null
        return this.#installFrom(file, chosen)
      }).catch((error: unknown) => this.#fail(error, name))
      const passedOver = this.#passedOver(name)
      if (done) return { ...this.#fields(), ...(passedOver.length > 0 ? { passed_over: passedOver } : {}) }
    }
    const passedOver = this.#passedOver(name)
    if (passedOver.length === 0) throw new Refusal('invalid', `no source has a bundle ${name}`)
    throw new Refusal('invalid', `no bundle ${name} of the sources may be installed: ${passedOver.join('; ')}`)
  }

  #fetched<T>(offer: Offer, work: (file: string) => Promise<T>): Promise<T> {
    return withOffer(offer, () => this.#options.bundles.store.downloads(), work)
  }

  #installFrom(file: string, { name, digest }: Offer): Promise<Installed> {
    const { config, bundles } = this.#options
    const { model: _model, labels: _labels, inputSize: _size, resize: _resize, ...engine } = modelOptions(config)
    return this.#changes(() =>
      installBundle(file, {
        store: bundles.store,
        trust: this.#trust(),
        origin: 'remote',
        isShadow: config.models.shadow !== undefined,
        engine,
        wanted: { name, digest },
      }),
    )
  }

  #trust(): Trust {
    const { trust, revoked } = this.#options.config.models
    return { keys: trust.map(readPublicKey), revoked }
  }

  /** Whether the signatures of a bundle are enough. One that is barred is kept in mind, and told once. */
  #isAllowed({ bytes, signatures }: BundleHead, { place, digest }: Offer): boolean {
    const trust = this.#trust()
    try {
      judgeSignatures({ name: `bundle ${place}`, manifest: bytes, signatures }, trust, 'remote')
      return true
    } catch (error) {
      if (!this.#barred.has(digest)) this.#options.log.warn(`${messageOf(error)}; it is passed over`)
      this.#barred.set(digest, messageOf(error))
      return false
    }
  }

  /** The newest offer that is neither barred nor was rolled back here. */
  #newest(name: string): Offer | null {
    return latestOf(this.#offers, name, [
      ...(this.#options.bundles.entry(name)?.rejected ?? []),
      ...this.#barred.keys(),
    ])
  }

  #passedOver(name: string): string[] {
    return this.#offers.flatMap((offer) => (offer.name === name ? (this.#barred.get(offer.digest) ?? []) : []))
  }

  #fail(error: unknown, name: string): never {
    const passedOver = this.#passedOver(name)
    if (passedOver.length === 0 || !(error instanceof GapcamError)) throw error
    throw new GapcamError(error.code, `${error.message}; passed over: ${passedOver.join('; ')}`, { cause: error })
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
    for (const one of this.#offers) if (one.head) this.#isAllowed(one.head, one)
    if (bundles.own !== null) offer(this.#newest(bundles.own)?.version ?? null)
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
