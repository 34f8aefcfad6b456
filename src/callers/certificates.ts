// Callers that are known by a client certificate. Only one that this gateway's own TLS verified against listen.tls.clientCa
// counts; what a proxy in front says of certificates is not read.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Caller } from '../model/caller.ts'
import type { Clock } from '../model/ports.ts'
import { type CertificateName, certificateKey, certificateKeys } from '../policy/certificate-names.ts'

export interface CertificateRule {
  readonly caller: Caller
  readonly certificates: readonly CertificateName[]
}

export interface Certificates {
  /** The caller; why the certificate is nobody's; null: none was shown. */
  identify(socket: Socket): Caller | string | null
}

interface Seen {
  readonly found: Caller | string | null
  /** Ms since 1970. */
  readonly validTo: number
}

const NOT_SHOWN: Seen = { found: null, validTo: Number.POSITIVE_INFINITY }

export function createCertificates(rules: readonly CertificateRule[], clock: Pick<Clock, 'date'>): Certificates {
  const byKey = new Map<string, Caller>()
  for (const { caller, certificates } of rules)
    for (const name of certificates) {
      const key = certificateKey(name)
      if (key !== null) byKey.set(key, caller)
    }
  // A connection has one certificate for as long as it lasts; connections whose authorities have changed are closed.
  const seen = new WeakMap<Socket, Seen>()
  const look = (socket: Socket): Seen => {
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
    if (!(socket instanceof TLSSocket) || certificate === undefined) return NOT_SHOWN
    const validTo = certificate.validToDate.getTime()
    if (!socket.authorized)
      return { found: 'it was not issued by an authority of listen.tls.clientCa, or is not valid now', validTo }
    const { fingerprint256, subject, subjectAltName } = certificate
    const keys = certificateKeys({ fingerprint256, subject, subjectAltName })
    const callers = new Set(keys.flatMap((key) => byKey.get(key) ?? []))
    const [only, ...more] = callers
    if (only === undefined) return { found: 'none of its names is that of a caller', validTo }
    return {
      found: more.length === 0 ? only : `its names are those of ${[...callers].map(({ name }) => name).join(' and ')}`,
      validTo,
    }
  }
  return {
    identify(socket) {
      let entry = seen.get(socket)
      if (entry === undefined) {
        entry = look(socket)
        seen.set(socket, entry)
      }
      return entry.validTo < clock.date() ? 'it has expired' : entry.found
    },
  }
}
