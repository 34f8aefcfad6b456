// As much of oidc-provider as the tests use; it comes without types.
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http'

  interface Stored {
    readonly clientId: string
    readonly scope?: string
    readonly aud?: string
  }

  export class Provider {
    constructor(issuer: string, configuration: object)
    callback(): RequestListener
    on(event: string, listener: (...facts: unknown[]) => void): void
    registerGrantType(
      name: string,
      handler: (ctx: GrantContext, next: () => Promise<void>) => Promise<void>,
      params: readonly string[],
    ): void
    readonly ClientCredentials: {
      new (properties: { client: unknown; scope?: string }): { save(): Promise<string>; readonly expiration: number }
      find(token: string): Promise<Stored | undefined>
    }
    readonly AccessToken: { find(token: string): Promise<Stored | undefined> }
    readonly RefreshToken: new (
      properties: object,
    ) => { save(): Promise<string> }
    readonly Grant: new (
      properties: object,
    ) => { addOIDCScope(scope: string): void; save(): Promise<string> }
    readonly Client: { find(id: string): Promise<unknown> }
  }

  export interface GrantContext {
    readonly oidc: { readonly client: unknown; readonly params: Readonly<Record<string, string | undefined>> }
    status: number
    body: unknown
  }
}
