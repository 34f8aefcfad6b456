// A real OAuth 2 server, oidc-provider, on loopback: it checks client secrets and signed assertions itself, so that what the
// gateway sends is judged by somebody else's reading of the RFCs.
import { type KeyObject, verify } from 'node:crypto'
import { createServer, IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { GrantContext, Provider } from 'oidc-provider'

export interface AuthorizationServer {
  readonly origin: string
  readonly tokenUrl: string
  /** Token requests, in order of arrival. */
  readonly asked: { readonly authorization: string | undefined; readonly form: URLSearchParams }[]
  /** Life of tokens issued from now on, seconds, from 1. */
  lifeSeconds: number
  /** Not null: what its answers say of that life instead, of as many digits at most. */
  saidSeconds: number | null
  /** Holds every token request up for this long, ms. */
  delayMs: number
  /** Not null: every token request is answered so, and not by the server. */
  instead: { readonly status: number; readonly headers?: Record<string, string>; readonly body: string } | null
  /** Somebody grants that client something: its first refresh token. Each is good for one use; a second revokes the grant. */
  grantTo(clientId: string): Promise<string>
  /** What the server knows of an access token. */
  find(token: string): Promise<{ clientId: string; scope?: string } | undefined>
  close(): Promise<void>
}

export interface AuthorizationServerOptions {
  readonly clientId: string
  readonly clientSecret: string
  /** The public key that assertions must be signed with, ES256. */
  readonly assertionKey: KeyObject
}

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const MACHINE = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }

const ROTATING = {
  redirect_uris: ['https://client.example.com/'],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token'],
}

export async function startAuthorizationServer(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { clientId, clientSecret, assertionKey } = options
  const jwk = { ...assertionKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'key-1' }
  const provider = await quietly(origin, {
    clients: [
      { ...MACHINE, client_id: clientId, client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_basic' },
      { ...MACHINE, client_id: 'in-body', client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_post' },
      { ...MACHINE, client_id: 'by-key', jwks: { keys: [jwk] }, token_endpoint_auth_method: 'private_key_jwt' },
      { ...ROTATING, client_id: 'rotating', client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_basic' },
      { ...ROTATING, client_id: 'rotating-body', client_secret: clientSecret, token_endpoint_auth_method: 'client_secret_post' },
      { ...ROTATING, client_id: 'rotating-public', token_endpoint_auth_method: 'none' },
      { ...MACHINE, client_id: 'granted', grant_types: [GRANT], token_endpoint_auth_method: 'none' },
    ],
    scopes: ['offline_access', 'read', 'write'],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    rotateRefreshToken: true,
    findAccount: (_ctx: unknown, accountId: string) => ({ accountId, claims: async () => ({ sub: accountId }) }),
    ttl: { ClientCredentials: () => handle.lifeSeconds, AccessToken: () => handle.lifeSeconds },
  })
  provider.registerGrantType(GRANT, (ctx) => grant(ctx, provider, assertionKey, `${origin}/token`), ['assertion', 'scope'])
  const answer = provider.callback()

  const handle: AuthorizationServer = {
    ...{ origin, tokenUrl: `${origin}/token`, asked: [], lifeSeconds: 600, saidSeconds: null, delayMs: 0, instead: null },
    grantTo: (clientId) => grantTo(provider, clientId),
    find: async (token) => (await provider.ClientCredentials.find(token)) ?? (await provider.AccessToken.find(token)),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.on('request', async (request, response) => {
    const body = await read(request)
    handle.asked.push({ authorization: request.headers.authorization, form: new URLSearchParams(body) })
    await new Promise((resolve) => setTimeout(resolve, handle.delayMs))
    if (handle.instead === null) return answer(again(request, body), saying(handle.saidSeconds, response))
    response.writeHead(handle.instead.status, handle.instead.headers).end(handle.instead.body)
  })
  return handle
}

/** Its warnings are for those who run it in earnest. */
async function quietly(issuer: string, configuration: object): Promise<Provider> {
  const { warn } = console
  console.warn = () => {}
  try {
    const library = await import('oidc-provider')
    return new library.Provider(issuer, configuration)
  } finally {
    console.warn = warn
  }
}

async function grantTo(provider: Provider, clientId: string): Promise<string> {
  const grant = new provider.Grant({ accountId: 'somebody', clientId })
  grant.addOIDCScope('read')
  const token = new provider.RefreshToken({
    ...{ accountId: 'somebody', client: await provider.Client.find(clientId), grantId: await grant.save() },
    ...{ scope: 'read', gty: 'authorization_code', expiresWithSession: false },
  })
  return token.save()
}

/** The answer with another expires_in, padded to the same length. */
function saying(seconds: number | null, response: ServerResponse): ServerResponse {
  if (seconds === null) return response
  const { end } = response
  const replaced = (text: string): string =>
    text.replace(/"expires_in":(\d+)/, (_all, digits: string) => `"expires_in":${String(seconds).padStart(digits.length)}`)
  return Object.assign(response, { end: (body: unknown) => end.call(response, replaced(String(body ?? '')), 'utf8') })
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** The request as if nobody had read it. */
function again(request: IncomingMessage, body: string): IncomingMessage {
  const { method, url, headers, rawHeaders, httpVersion } = request
  const copy = Object.assign(new IncomingMessage(request.socket), {
    method,
    url,
    headers,
    rawHeaders,
    httpVersion,
    complete: true,
  })
  copy.push(body)
  copy.push(null)
  return copy
}

/** RFC 7523 §3, by node:crypto rather than by the library that signed. */
async function grant(ctx: GrantContext, provider: Provider, key: KeyObject, audience: string): Promise<void> {
  const [head = '', claims = '', signature = ''] = (ctx.oidc.params.assertion ?? '').split('.')
  const { iss, sub, aud, exp, iat, jti, scope } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  const now = Date.now() / 1000
  const signed = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  const good = signed && iss === 'billing' && sub === 'someone' && aud === audience && exp > now && iat <= now + 5 && jti
  if (!good || scope !== ctx.oidc.params.scope) {
    ctx.status = 400
    ctx.body = { error: 'invalid_grant', error_description: 'no' }
    return
  }
  const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope })
  ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration }
}
