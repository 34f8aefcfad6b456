// A real OpenID Connect issuer, oidc-provider, on loopback: what it signs and publishes is somebody else's reading of the RFCs.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TokenIssuer {
  readonly issuer: string
  readonly jwksUri: string
  /** A JWT access token for `audience`, whose `sub` and `client_id` are the client's. */
  token(client: 'billing' | 'shipping', audience: string): Promise<string>
  close(): Promise<void>
}

const SECRET = 'secret-of-the-client'

export async function startTokenIssuer(): Promise<TokenIssuer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const clients = ['billing', 'shipping'].map((client_id) => ({
    ...{ client_id, client_secret: SECRET, redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
  }))
  const { warn } = console
  console.warn = () => {}
  const { Provider } = await import('oidc-provider')
  const provider = new Provider(issuer, {
    clients,
    scopes: ['call'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx: unknown, resource: string) => ({
          ...{ scope: 'call', audience: resource.replace('urn:', ''), accessTokenFormat: 'jwt' },
        }),
      },
    },
    ttl: { ClientCredentials: 600 },
  })
  console.warn = warn
  server.on('request', provider.callback())
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    async token(client, audience) {
      const answer = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'call', resource: `urn:${audience}` }),
      })
      const { access_token: token } = (await answer.json()) as { access_token?: string }
      if (token === undefined) throw new Error(`the issuer answered ${answer.status}`)
      return token
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
