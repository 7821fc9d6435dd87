/** What the models in a bundle read beside themselves: nothing but files of the bundle. */
import { dirname, join, relative, resolve } from 'node:path'
import { GapcamError } from '../errors.js'
import { loadModel } from '../model/load.js'
import { findManifest } from '../model/metadata/manifest.js'
import type { BundleManifest } from './manifest.js'

/**
 * Loads the model and the heads of an unpacked bundle in `folder`, and checks that a label file which one of them names is in
 * the bundle: another file's lines would be published as labels. A model reads weights from its own folder only, wherever
 * it lies. Rejects with BUNDLE_REFUSED, and with MODEL_* and MANIFEST_INVALID for a model that cannot be loaded.
 */
export async function requireOwnFiles({ name, model, heads, files }: BundleManifest, folder: string): Promise<void> {
  for (const path of [model, ...heads.map((head) => head.path)]) {
    const file = join(folder, path)
    const { labels } = (await findManifest(await loadModel(file))).manifest
    if (typeof labels !== 'string') continue
    const inBundle = relative(folder, resolve(dirname(file), labels))
    if (files.some((listed) => listed.path === inBundle)) continue
    throw new GapcamError(
      'BUNDLE_REFUSED',
      `bundle ${name}: ${path} takes its labels from ${labels}, outside the bundle`,
      {
        hint: 'gapcam model pack puts the labels into the bundle.',
      },
    )
  }
}
