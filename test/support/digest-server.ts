// The server's side of Digest (RFC 7616), written from the RFC alone so that it shares no mistake with ours.
import { createHash } from 'node:crypto'
import type { ReceivedRequest } from './rude-upstream.ts'
import { type Scripted, valuesOf } from './scripted-upstream.ts'

export interface DigestServer {
  /** 401 with a challenge until the answer is right, then 200. */
  readonly answer: (request: ReceivedRequest) => Scripted
  /** Answers that were right, as their parameters. */
  readonly accepted: readonly Readonly<Record<string, string>>[]
}

export interface DigestServerOptions {
  readonly username: string
  readonly password: string
  /** As in the challenge; null: none is given. */
  readonly algorithm: string | null
  /** null: the challenge has none (RFC 2069). */
  readonly qop: string | null
  /** Told in Authentication-Info of each right answer. */
  readonly nextNonce?: string
}

const HASHES: Readonly<Record<string, string>> = {
  MD5: 'md5',
  'SHA-256': 'sha256',
  'SHA-512': 'sha512',
  'SHA-512-256': 'sha512-256',
  SHA: 'sha1',
}

export function createDigestServer(options: DigestServerOptions): DigestServer {
  const { username, password, algorithm, qop } = options
  const [, base = '', session] = /^(.*?)(-sess)?$/i.exec(algorithm ?? 'MD5') ?? []
  const hash = (text: string | Uint8Array): string =>
    createHash(HASHES[base] ?? '')
      .update(text)
      .digest('hex')
  const accepted: Record<string, string>[] = []
  let nonce = 'nonce-1'
  const counts = new Map<string, number>()

  const isRight = (request: ReceivedRequest, given: Record<string, string>): boolean => {
    const { nc = '', cnonce = '' } = given
    if (given.nonce !== nonce || given.uri !== request.target || given.username !== username || given.realm !== 'a realm')
      return false
    if (given.opaque !== 'op' || given.algorithm !== (algorithm ?? undefined)) return false
    const plain = hash(`${username}:a realm:${password}`)
    const a1 = session ? hash(`${plain}:${nonce}:${cnonce}`) : plain
    const body = given.qop === 'auth-int' ? `:${hash(request.body)}` : ''
    const a2 = hash(`${request.method}:${request.target}${body}`)
    if (qop === null) return given.response === hash(`${a1}:${nonce}:${a2}`)
    const count = Number.parseInt(nc, 16)
    if (nc.length !== 8 || count <= (counts.get(nonce) ?? 0) || !qop.split(', ').includes(given.qop ?? '')) return false
    if (given.response !== hash(`${a1}:${nonce}:${nc}:${cnonce}:${given.qop}:${a2}`)) return false
    counts.set(nonce, count)
    return true
  }

  return {
    accepted,
    answer(request) {
      const given = parseAnswer(valuesOf(request, 'authorization')[0])
      if (given === null || !isRight(request, given)) {
        const parts = ['Digest realm="a realm"', `nonce="${nonce}"`, 'opaque="op"']
        if (algorithm !== null) parts.push(`algorithm=${algorithm}`)
        if (qop !== null) parts.push(`qop="${qop}"`)
        return { status: 401, reason: 'Unauthorized', headers: [['WWW-Authenticate', parts.join(', ')]], body: 'no' }
      }
      accepted.push(given)
      if (options.nextNonce === undefined) return { body: 'yes' }
      nonce = options.nextNonce
      return { headers: [['Authentication-Info', `nextnonce="${nonce}"`]], body: 'yes' }
    },
  }
}

function parseAnswer(value: string | undefined): Record<string, string> | null {
  if (!value?.startsWith('Digest ')) return null
  const found: Record<string, string> = {}
  for (const [, name = '', quoted, plain] of value.matchAll(/([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))/g))
    found[name] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? ''
  return found
}
