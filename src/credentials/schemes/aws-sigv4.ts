// AWS Signature Version 4, in the Authorization header. aws4 does the signing; here stands which of a request's headers are
// signed, so that nothing is which changes on the way. Signed anew for each try, since a signature lives for minutes.
import { createHash } from 'node:crypto'
import aws4, { type Request, type RequestSigner } from 'aws4'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { InjectedHeader, Injection, OpenCredential } from '../../model/credential-scheme.ts'
import { getHeader } from '../../model/header-list.ts'
import type { HopRequest } from '../../model/hop.ts'
import { defineScheme, headerValue, oneOf, optional, type Scheme } from '../scheme.ts'

/** Named in the signature's scope, which `/` and `,` separate. */
const scopeWord = headerValue.regex(/^[A-Za-z0-9._-]+$/, 'must be letters, digits, ".", "_" and "-"')

/** Beside Host: what AWS wants signed, and the body's own description. */
const SIGNED = /^(?:content-type|content-md5|date|x-amz-.+)$/

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly region: string
  readonly service: string
  readonly payload: 'signed' | 'unsigned'
}

export const awsSigV4 = createAwsSigV4()

/** `now`: ms since 1970. */
export function createAwsSigV4(now: () => number = Date.now): Scheme {
  return defineScheme({
    name: 'aws-sigv4',
    place: 'request',
    about: "AWS Signature Version 4 in the `Authorization` header, the body's hash in it",
    example: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: '…', region: 'eu-west-1', service: 's3' },
    fields: {
      accessKeyId: scopeWord,
      secretAccessKey: headerValue.min(1, 'must not be empty'),
      sessionToken: optional(headerValue),
      region: scopeWord,
      service: scopeWord,
      payload: oneOf('signed', 'unsigned'),
    },
    refuse: ({ service, payload }) =>
      payload === 'unsigned' && service !== 's3' ? 'payload: only the service s3 takes an unsigned one' : null,
    open: (keys): OpenCredential => ({ inject: (request) => sign(request, keys, now()), dialogue: null }),
  })
}

function sign(request: HopRequest, keys: Keys, now: number): Injection {
  const datetime = new Date(now).toISOString().replace(/[:-]|\.\d{3}/g, '')
  const added: InjectedHeader[] = [masked('X-Amz-Date', datetime)]
  // S3 alone wants the body's hash in a header as well; it is part of every signature.
  if (keys.service === 's3')
    added.push(masked('X-Amz-Content-Sha256', keys.payload === 'unsigned' ? 'UNSIGNED-PAYLOAD' : sha256(request.body)))
  if (keys.sessionToken !== '') added.push(masked('X-Amz-Security-Token', keys.sessionToken))
  const signer = new aws4.RequestSigner(signable(request, keys, added), {
    accessKeyId: keys.accessKeyId,
    secretAccessKey: keys.secretAccessKey,
  })
  signer.datetime = datetime
  const value = authorization(signer, request)
  return { headers: [...added, { name: 'Authorization', value, masked: 'AWS4-HMAC-SHA256 ***' }], query: null }
}

const masked = (name: string, value: string): InjectedHeader => ({ name, value, masked: '***' })

const sha256 = (body: Uint8Array | null): string =>
  createHash('sha256')
    .update(body ?? '')
    .digest('hex')

/** The request as aws4 takes it: nothing is added by it, and the caller's own of what we add is left out. */
function signable(
  { method, url, headers, body }: HopRequest,
  { service, region }: Keys,
  added: readonly InjectedHeader[],
): Request {
  const signed: Record<string, string> = { host: getHeader(headers, 'host') ?? url.origin.slice(url.origin.indexOf('://') + 3) }
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    if (SIGNED.test(key)) signed[key] = signed[key] === undefined ? value : `${signed[key]},${value}`
  }
  for (const { name, value } of added) signed[name.toLowerCase()] = value
  return {
    ...{ method, path: url.target, headers: signed, service, region, doNotModifyHeaders: true },
    ...(body === null ? {} : { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) }),
  }
}

function authorization(signer: RequestSigner, { url }: HopRequest): string {
  try {
    signer.prepareRequest()
    return signer.authHeader()
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw new GatewayError('InvalidURL', `the path for ${url.origin} cannot be signed: it is not percent-encoded UTF-8`)
  }
}
