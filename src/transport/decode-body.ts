// Undoes content-encodings (RFC 9110 §8.4), stacked in any order, never past the limit on decoded bytes. An unknown coding
// is left as it is, with everything under it, as Requests leaves it.
import { promisify } from 'node:util'
import {
  brotliDecompress,
  brotliDecompressSync,
  gunzip,
  gunzipSync,
  inflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib'
import { GatewayError } from '../errors/gateway-error.ts'

export interface DecodeLimits {
  /** Largest decoded body, bytes. */
  readonly maxBytes: number
  /** For the message. */
  readonly hostname: string
}

export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

interface CodecOptions {
  readonly maxOutputLength: number
  readonly chunkSize?: number
}

interface Codec {
  readonly now: (body: Buffer, options: CodecOptions) => Buffer
  readonly later: (body: Buffer, options: CodecOptions) => Promise<Buffer>
}

/** A chain this long is an attack. */
const MAX_CODINGS = 5
/** Below both, decoding at once holds the event loop for a millisecond at most; a trip to the thread pool costs a tenth of one. */
const SYNC_INPUT_BYTES = 64 * 1024
const SYNC_OUTPUT_BYTES = 128 * 1024
/** Pieces in which the thread pool works; zlib's 16 KiB would make a trip for each. */
const LATER_CHUNK_BYTES = 256 * 1024

const RAW_DEFLATE: Codec = { now: inflateRawSync, later: promisify(inflateRaw) }
const CODECS: Readonly<Record<Coding, Codec>> = {
  gzip: { now: gunzipSync, later: promisify(gunzip) },
  deflate: { now: inflateSync, later: promisify(inflate) },
  br: { now: brotliDecompressSync, later: promisify(brotliDecompress) },
  zstd: { now: zstdDecompressSync, later: promisify(zstdDecompress) },
}
const NONE: readonly Coding[] = []
const NAMES: Readonly<Record<string, Coding>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate', br: 'br', zstd: 'zstd' }

/** What a Content-Encoding value asks to be undone, the last applied first; stops at the first that is unknown. */
export function codingsOf(contentEncoding: string | undefined): readonly Coding[] {
  if (contentEncoding === undefined) return NONE
  const codings: Coding[] = []
  for (const given of contentEncoding.toLowerCase().split(',').reverse()) {
    const name = given.trim()
    if (name === '' || name === 'identity') continue
    const coding = Object.hasOwn(NAMES, name) ? NAMES[name] : undefined
    if (coding === undefined) break
    codings.push(coding)
  }
  return codings
}

/** What may have to be held of an encoded body: codings make what cannot be compressed a little larger. */
export function encodedLimit(maxBytes: number): number {
  return maxBytes + Math.ceil(maxBytes / 8) + 64 * 1024
}

/** Synchronous where the body is small. Fails with ContentDecodingError or ResponseTooLarge. */
export function decodeBody(body: Buffer, codings: readonly Coding[], limits: DecodeLimits): Buffer | Promise<Buffer> {
  if (body.length === 0 || codings.length === 0) return body
  if (codings.length > MAX_CODINGS) {
    throw new GatewayError(
      'ContentDecodingError',
      `${limits.hostname} sent a body under more than ${MAX_CODINGS} content-encodings`,
    )
  }
  const small = decodeNow(body, codings, limits)
  return small ?? decodeLater(body, codings, limits)
}

/** null: too large to be done at once. */
function decodeNow(body: Buffer, codings: readonly Coding[], limits: DecodeLimits): Buffer | null {
  const maxOutputLength = Math.min(limits.maxBytes + 1, SYNC_OUTPUT_BYTES)
  let decoded = body
  for (const coding of codings) {
    if (decoded.length > SYNC_INPUT_BYTES) return null
    try {
      decoded = codecsFor(coding, decoded).now(decoded, { maxOutputLength })
    } catch (error) {
      if (isTooLarge(error)) return null
      throw undecodable(coding, limits, error)
    }
  }
  return withinLimit(decoded, limits)
}

async function decodeLater(body: Buffer, codings: readonly Coding[], limits: DecodeLimits): Promise<Buffer> {
  let decoded = body
  for (const [index, coding] of codings.entries()) {
    const isLast = index === codings.length - 1
    const maxOutputLength = isLast ? limits.maxBytes + 1 : encodedLimit(limits.maxBytes)
    try {
      decoded = await codecsFor(coding, decoded).later(decoded, { maxOutputLength, chunkSize: LATER_CHUNK_BYTES })
    } catch (error) {
      throw isTooLarge(error) ? tooLarge(limits) : undecodable(coding, limits, error)
    }
  }
  return withinLimit(decoded, limits)
}

/** `deflate` should be zlib's format (RFC 9110 §8.4.1.2), but raw DEFLATE is sent under that name too. */
function codecsFor(coding: Coding, body: Buffer): Codec {
  if (coding !== 'deflate') return CODECS[coding]
  const [first = 0, second = 0] = body
  const isZlib = (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0
  return isZlib ? CODECS.deflate : RAW_DEFLATE
}

function withinLimit(decoded: Buffer, limits: DecodeLimits): Buffer {
  if (decoded.length > limits.maxBytes) throw tooLarge(limits)
  return decoded
}

export function tooLarge({ hostname, maxBytes }: DecodeLimits): GatewayError {
  return new GatewayError(
    'ResponseTooLarge',
    `the body from ${hostname} is larger than ${maxBytes} bytes; ask for less, or raise maxResponseSize up to the ceiling`,
  )
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
}

function undecodable(coding: Coding, { hostname }: DecodeLimits, cause: unknown): GatewayError {
  return new GatewayError(
    'ContentDecodingError',
    `the body from ${hostname} is not what its content-encoding ${coding} says, or is cut short`,
    {
      cause,
    },
  )
}
