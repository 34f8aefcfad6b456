// A descriptor to a running gateway, and its answer. It waits as long as the gateway does, whose clocks end every call.
import { type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'

import { CliError } from './ports.ts'
import type { ReceivedEnvelope } from './show-answer.ts'

export interface GatewayAnswer {
  /** The envelope as it came. */
  readonly raw: string
  readonly envelope: ReceivedEnvelope
}

/** `key`: null, the gateway serves this machine without one. Throws CliError where no gateway answers. */
export async function postDescriptor(
  descriptor: string,
  { gateway, key }: { gateway: string; key: string | null },
): Promise<GatewayAnswer> {
  const url = entranceOf(gateway)
  const { status, body } = await send(url, descriptor, key).catch((error: NodeJS.ErrnoException) => {
    const why = error.code ?? 'the connection broke'
    throw new CliError(
      `no answer from ${url.origin} (${why}); start a gateway there with "npm start", or name another with --gateway`,
    )
  })
  const envelope = readEnvelope(body)
  if (envelope) return { raw: body, envelope }
  throw new CliError(
    `${url.origin} answered ${status} and no envelope, so it is no Sallyport gateway; name another with --gateway`,
  )
}

function entranceOf(gateway: string): URL {
  const url = URL.canParse(gateway) ? new URL(gateway) : null
  if (!url || !/^https?:$/.test(url.protocol)) throw new CliError('--gateway must be a URL, such as http://127.0.0.1:8080', 2)
  if (url.username || url.password)
    throw new CliError('--gateway carries a login; a key belongs in --key-file or SALLYPORT_KEY', 2)
  return new URL(`${url.pathname.replace(/\/*$/, '')}/v1/requests`, url.origin)
}

function send(url: URL, descriptor: string, key: string | null): Promise<{ status: number; body: string }> {
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(descriptor),
    ...(key !== null && { 'X-Sallyport-Key': key }),
  }
  const options: RequestOptions = { method: 'POST', agent: false, headers }
  return new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(descriptor)
  })
}

function readEnvelope(body: string): ReceivedEnvelope | null {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && 'requestId' in value && 'error' in value
      ? (value as ReceivedEnvelope)
      : null
  } catch {
    return null
  }
}
