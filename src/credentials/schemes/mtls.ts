// A client certificate with its key, both PEM. Never part of a request: the transport presents it in the TLS handshake.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { NO_INJECTION } from '../../model/credential-scheme.ts'
import { defineScheme, PEM_EXAMPLE } from '../scheme.ts'

export const mtls = defineScheme({
  name: 'mtls',
  place: 'tls',
  about: "a client certificate and its key (PEM), named by an adapter's `tls.cert` or a descriptor's `cert`",
  example: { cert: PEM_EXAMPLE.certificate, key: PEM_EXAMPLE.key },
  fields: {
    cert: z.string().includes('-----BEGIN CERTIFICATE-----', { error: 'must be a PEM certificate, its chain behind it' }),
    key: z.string().includes('PRIVATE KEY-----', { error: 'must be an unencrypted PEM private key' }),
  },
  refuse: ({ cert, key }) => doubtAbout(cert, key),
  open: () => ({ inject: () => NO_INJECTION, dialogue: null }),
})

function doubtAbout(cert: string, key: string): string | null {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? null : 'the key does not belong to the certificate'
  } catch {
    return 'the certificate or the key cannot be read; the key must not be encrypted'
  }
}
