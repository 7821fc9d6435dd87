/** A real OCI registry on this machine (Debian's docker-registry), and pushing into it as `oras push` does. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, createPrivateKey, randomUUID, sign } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { launch, type Running } from '../process.js'
import { freePort } from '../publish/mosquitto.js'

/** Why tests of a registry cannot run here; null: they can. */
export const noRegistry =
  spawnSync('docker-registry', ['--version']).status === 0 ? null : 'docker-registry is not installed'

export interface Registry {
  /** Such as 127.0.0.1:5000. */
  readonly host: string
  /** Stores a file as the only layer of a tag; returns the digests of the layer and of the manifest. */
  push(
    repository: string,
    tag: string,
    file: string,
    title?: string,
  ): Promise<{ readonly layer: string; readonly manifest: string }>
  /** The file of a blob in the registry's own storage. */
  blobFile(digest: string): string
  close(): Promise<void>
}

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** Starts a registry in `folder`. With `withTokens` nobody reads without a token, which anyone gets, as on public registries. */
export async function startRegistry(folder: string, withTokens = false): Promise<Registry> {
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const issuer = withTokens ? await startIssuer(folder) : null
  const auth = issuer
    ? `auth:\n  token: { realm: "http://127.0.0.1:${(issuer.address() as AddressInfo).port}/token", service: registry, issuer: gapcam-test, rootcertbundle: ${join(folder, 'issuer.crt')} }\n`
    : ''
  const config = join(folder, 'registry.yml')
  writeFileSync(
    config,
    `version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: ${join(folder, 'storage')} } }\nhttp: { addr: "${host}" }\n${auth}`,
  )
  const program: Running = launch('docker-registry', ['serve', config])
  for (let i = 0; i < 200; i++) {
    const answers = await fetch(`http://${host}/v2/`).then(
      () => true,
      () => false,
    )
    if (answers) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }

  const token = async (repository: string): Promise<Record<string, string>> =>
    issuer ? { authorization: `Bearer ${tokenFor(folder, repository, ['pull', 'push'])}` } : {}

  async function put(repository: string, bytes: Uint8Array): Promise<string> {
    const digest = sha256(bytes)
    const headers = await token(repository)
    const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers })
    const place = new URL(begun.headers.get('location')!, `http://${host}`)
    place.searchParams.set('digest', digest)
    const { status } = await fetch(place, {
      method: 'PUT',
      body: Buffer.from(bytes),
      headers: { ...headers, 'content-type': 'application/octet-stream' },
    })
    if (status !== 201) throw new Error(`the registry answers ${status} to a blob`)
    return digest
  }

  return {
    host,
    async push(repository, tag, file, title = 'small.gapcam') {
      const bytes = readFileSync(file)
      const [layer, config_] = [await put(repository, bytes), await put(repository, Buffer.from('{}'))]
      const mediaType = 'application/vnd.oci.image.manifest.v1+json'
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType,
          config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config_, size: 2 },
          layers: [
            {
              mediaType: 'application/vnd.oci.image.layer.v1.tar',
              digest: layer,
              size: bytes.length,
              annotations: { 'org.opencontainers.image.title': title },
            },
          ],
        }),
      )
      const { status } = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
        method: 'PUT',
        body: manifest,
        headers: { ...(await token(repository)), 'content-type': mediaType },
      })
      if (status !== 201) throw new Error(`the registry answers ${status} to a manifest`)
      return { layer, manifest: sha256(manifest) }
    },
    blobFile(digest) {
      const hex = digest.slice('sha256:'.length)
      const file = join(folder, 'storage/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
      if (!existsSync(file)) throw new Error(`${file} does not exist`)
      return file
    },
    async close() {
      program.kill('SIGTERM')
      await program.ended
      issuer?.close()
    },
  }
}

/** Gives a token for reading to anyone who asks, as public registries do. */
async function startIssuer(folder: string): Promise<Server> {
  const key = join(folder, 'issuer.key')
  execFileSync('openssl', ['ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', key])
  const options = [
    '-new',
    '-x509',
    '-key',
    key,
    '-subj',
    '/CN=issuer',
    '-days',
    '2',
    '-out',
    join(folder, 'issuer.crt'),
  ]
  execFileSync('openssl', ['req', ...options], { stdio: 'ignore' })
  const server = createServer(({ url }, response) => {
    const scope = new URL(url!, 'http://127.0.0.1').searchParams.get('scope') ?? ''
    const repository = scope.split(':')[1] ?? ''
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ token: tokenFor(folder, repository, ['pull']) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** A JSON Web Token by the issuer, as distribution's token specification has it. */
function tokenFor(folder: string, repository: string, actions: readonly string[]): string {
  const certificate = readFileSync(join(folder, 'issuer.crt'), 'utf8')
  const x5c = [certificate.replace(/-----[^-]+-----|\s/g, '')]
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: 'gapcam-test',
    sub: '',
    aud: 'registry',
    exp: now + 300,
    nbf: now - 10,
    iat: now,
    jti: randomUUID(),
    access: [{ type: 'repository', name: repository, actions }],
  }
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ typ: 'JWT', alg: 'ES256', x5c })}.${part(claims)}`
  const key = createPrivateKey(readFileSync(join(folder, 'issuer.key')))
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}
