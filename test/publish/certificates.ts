/** A test authority and its certificates, made by openssl in a folder that `cleanUp` removes. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asThisUser, temporaryFolder } from './mosquitto.js'

export interface Certificates {
  readonly ca: string
  readonly client: { readonly cert: string; readonly key: string }
  /** Lines for mosquitto's configuration: the server's certificate, and one that is valid from 2090 on. */
  readonly settings: readonly string[]
  readonly futureSettings: readonly string[]
  /** Clients must show a certificate; its name is their user. */
  readonly clientSettings: readonly string[]
}

const curve = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'

export function makeCertificates(): Certificates {
  const folder = temporaryFolder()
  const openssl = (args: string): void => {
    execFileSync('openssl', args.split(' '), { cwd: folder, stdio: 'ignore' })
  }
  openssl(`req -x509 ${curve} -keyout ca.key -out ca.crt -subj /CN=test-authority -days 2`)
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost')
  for (const [file, name] of [
    ['server', 'localhost'],
    ['client', 'dock1'],
    ['future', 'localhost'],
  ] as const) {
    openssl(`req ${curve} -keyout ${file}.key -out ${file}.csr -subj /CN=${name}`)
    if (file !== 'future')
      openssl(
        `x509 -req -in ${file}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out ${file}.crt -days 2 -extfile names`,
      )
  }
  // Only `openssl ca` accepts a start date.
  writeFileSync(join(folder, 'index.txt'), '')
  writeFileSync(join(folder, 'serial'), '7777\n')
  writeFileSync(
    join(folder, 'ca.conf'),
    '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n',
  )
  openssl(
    'ca -batch -config ca.conf -cert ca.crt -keyfile ca.key -in future.csr -out future.crt -startdate 20900101000000Z -enddate 20910101000000Z -extfile names -notext',
  )
  const file = (name: string): string => readFileSync(join(folder, name), 'utf8')
  const settingsOf = (name: string): string[] => [
    `certfile ${folder}/${name}.crt`,
    `keyfile ${folder}/${name}.key`,
    ...asThisUser,
  ]
  return {
    ca: file('ca.crt'),
    client: { cert: file('client.crt'), key: file('client.key') },
    settings: settingsOf('server'),
    futureSettings: settingsOf('future'),
    clientSettings: [`cafile ${folder}/ca.crt`, 'require_certificate true', 'use_identity_as_username true'],
  }
}
