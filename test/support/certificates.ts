// Certificates made at test time, so that TLS in tests is real: a CA and what it signs, well and badly. Pure node:crypto
// with a DER writer of its own, since the openssl command is not on every machine. Not for anything but tests.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface Certificate {
  /** PEM */
  readonly cert: string
  /** PEM, PKCS #8 */
  readonly key: string
}

export interface Certificates {
  /** PEM of the CA that signed `good`, `expired`, `wrongHost`, `client` and `successor`. */
  readonly ca: string
  /** For localhost, 127.0.0.1, ::1 and *.example.test. */
  readonly good: Certificate
  readonly expired: Certificate
  readonly notYetValid: Certificate
  readonly selfSigned: Certificate
  /** Signed by the CA, for elsewhere.invalid alone. */
  readonly wrongHost: Certificate
  /** Signed by a CA that nobody trusts. */
  readonly unknownIssuer: Certificate
  /** For client authentication, common name `gateway`. */
  readonly client: Certificate
  /** For client authentication, common name `api`, with a SPIFFE id and a DNS name. */
  readonly workload: Certificate
  /** PEM of the CA that signed `unknownIssuer`. */
  readonly strangeCa: string
  /** The same, common name `successor`. */
  readonly successor: Certificate
  /** The same, common name `stranger`, signed by a CA that nobody trusts. */
  readonly strangeClient: Certificate
}

const DAY = 86_400_000
export const SPIFFE_ID = 'spiffe://cluster.local/ns/billing/sa/api'
const NAMES = ['localhost', '*.example.test', 'example.test', '127.0.0.1', '::1']

interface Authority {
  readonly name: string
  readonly key: KeyObject
}

interface Wish {
  readonly subject: string
  readonly issuer: Authority
  readonly key: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  /** DNS names and IP addresses of the subjectAltName. */
  readonly names: readonly string[]
  readonly from: number
  readonly until: number
  readonly isCa: boolean
}

let made: Certificates | undefined

/** Made on the first call, the same for the rest of the process. */
export function certificates(): Certificates {
  made ??= makeAll()
  return made
}

function makeAll(): Certificates {
  const now = Date.now()
  const authority = (name: string): Authority & { readonly cert: string } => {
    const key = newKey()
    const self = { name, key: key.privateKey }
    return {
      ...self,
      cert: pem(certificate({ subject: name, issuer: self, key, names: [], from: now - DAY, until: now + 30 * DAY, isCa: true })),
    }
  }
  const trusted = authority('Test CA')
  const stranger = authority('Strange CA')
  const leaf = (
    subject: string,
    names: readonly string[],
    issuer: Authority | null,
    days: readonly [number, number],
  ): Certificate => {
    const key = newKey()
    const wish = { subject, names, key, isCa: false, from: now + days[0] * DAY, until: now + days[1] * DAY }
    const cert = certificate({ ...wish, issuer: issuer ?? { name: subject, key: key.privateKey } })
    return { cert: pem(cert), key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
  }
  return {
    ca: trusted.cert,
    good: leaf('localhost', NAMES, trusted, [-1, 30]),
    expired: leaf('localhost', NAMES, trusted, [-30, -1]),
    notYetValid: leaf('localhost', NAMES, trusted, [10, 30]),
    selfSigned: leaf('localhost', NAMES, null, [-1, 30]),
    wrongHost: leaf('elsewhere.invalid', ['elsewhere.invalid'], trusted, [-1, 30]),
    unknownIssuer: leaf('localhost', NAMES, stranger, [-1, 30]),
    client: leaf('gateway', [], trusted, [-1, 30]),
    workload: leaf('api', [SPIFFE_ID, 'api.billing.internal'], trusted, [-1, 30]),
    strangeCa: stranger.cert,
    successor: leaf('successor', [], trusted, [-1, 30]),
    strangeClient: leaf('stranger', [], stranger, [-1, 30]),
  }
}

function newKey(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

/** RFC 5280 §4.1, version 3, ECDSA with SHA-256. */
function certificate(wish: Wish): Buffer {
  const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
  const extensions = [
    extension([0x55, 0x1d, 0x13], true, sequence(...(wish.isCa ? [der(0x01, Buffer.from([0xff]))] : []))),
    ...(wish.names.length === 0 ? [] : [extension([0x55, 0x1d, 0x11], false, sequence(...wish.names.map(alternativeName)))]),
  ]
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    commonName(wish.issuer.name),
    sequence(time(wish.from), time(wish.until)),
    commonName(wish.subject),
    wish.key.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  return sequence(body, algorithm, bits(sign('sha256', body, wish.issuer.key)))
}

function der(tag: number, content: Buffer): Buffer {
  const n = content.length
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function sequence(...items: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(items))
}

function oid(...bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes))
}

function bits(content: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), content]))
}

/** GeneralizedTime: YYYYMMDDHHMMSSZ. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString()
  return der(0x18, Buffer.from(`${text.slice(0, 19).replaceAll(/[-T:]/g, '')}Z`))
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))))
}

function extension(id: readonly number[], critical: boolean, value: Buffer): Buffer {
  return sequence(oid(...id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
}

function alternativeName(name: string): Buffer {
  if (name === '::1') return der(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1])]))
  if (/^[\d.]+$/.test(name)) return der(0x87, Buffer.from(name.split('.').map(Number)))
  return der(name.includes('://') ? 0x86 : 0x82, Buffer.from(name))
}

function pem(cert: Buffer): string {
  const lines = cert.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
