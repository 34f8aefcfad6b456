// A descriptor's body → the bytes that are sent and the Content-Type that their encoding calls for, as Requests'
// prepare_body does it. Content-Length is the transport's.
import type { RequestBody } from '../model/descriptor.ts'
import { encodeMultipart } from './multipart.ts'
import { urlencode, wellFormed, wellFormedPairs } from './quote.ts'

export interface EncodedBody {
  /** null: no body at all. Empty: a form of which every value was null. */
  readonly bytes: Uint8Array | null
  /** null: the encoding says nothing of it (text and raw bytes, as in Requests). */
  readonly contentType: string | null
}

const NONE: EncodedBody = { bytes: null, contentType: null }

/** @param makeBoundary asked once, and only for multipart. */
export function encodeBody(body: RequestBody | undefined, makeBoundary: () => string): EncodedBody {
  switch (body?.kind) {
    case undefined:
      return NONE
    case 'json':
      return { bytes: body.bytes, contentType: 'application/json' }
    case 'form':
      return encodeForm(body.pairs)
    case 'text':
      return body.text === '' ? NONE : { bytes: Buffer.from(wellFormed(body.text, '/data')), contentType: null }
    case 'raw':
      return body.bytes.length === 0 ? NONE : { bytes: body.bytes, contentType: null }
    case 'multipart': {
      // Without a single file it is a plain form to Requests.
      if (body.files.length === 0) return encodeForm(body.fields)
      const boundary = makeBoundary()
      const bytes = encodeMultipart(body.fields, body.files, boundary)
      return { bytes, contentType: `multipart/form-data; boundary=${boundary}` }
    }
  }
}

function encodeForm(pairs: Extract<RequestBody, { kind: 'form' }>['pairs']): EncodedBody {
  if (pairs.length === 0) return NONE
  const text = urlencode(wellFormedPairs(pairs, '/data'))
  return { bytes: Buffer.from(text, 'latin1'), contentType: 'application/x-www-form-urlencoded' }
}
