// A scripted upstream and a gateway with an adapter for it, both ended with the test: what most wire tests begin with.
import type { TestContext } from 'node:test'
import { startGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import type { RudeOptions } from './rude-upstream.ts'
import { createScriptedUpstream, type ScriptedUpstream } from './scripted-upstream.ts'
import { loopbackAdapter } from './wire.ts'

export interface SceneOptions extends Partial<Omit<TestGatewayOptions, 'adapters' | 'secrets'>> {
  /** Further keys of the adapter `up`, which is mounted on the upstream's origin. */
  readonly adapter?: object
  /** Adapters beside it. */
  readonly others?: (upstream: ScriptedUpstream) => readonly object[]
  readonly secrets?: (upstream: ScriptedUpstream) => NonNullable<TestGatewayOptions['secrets']>
  readonly tls?: NonNullable<RudeOptions['tls']>
}

export interface Scene {
  readonly up: ScriptedUpstream
  readonly gateway: TestGateway
  /** Where `path` stands under the upstream's origin. */
  at(path: string): string
}

export async function setScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const up = await upstreamFor(t, options.tls ? { tls: options.tls } : {})
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('up', up.origin, options.adapter), ...(options.others?.(up) ?? [])],
    secrets: options.secrets?.(up) ?? [],
    ...(options.config ? { config: options.config } : {}),
    ...(options.env ? { env: options.env } : {}),
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.traces ? { traces: options.traces } : {}),
  })
  return { up, gateway, at: (path) => up.origin + path }
}

export async function upstreamFor(t: TestContext, options: Pick<RudeOptions, 'tls'> = {}): Promise<ScriptedUpstream> {
  const up = await createScriptedUpstream(options)
  t.after(() => up.close())
  return up
}

export async function gatewayFor(t: TestContext, options: TestGatewayOptions): Promise<TestGateway> {
  const gateway = await startGateway(options)
  t.after(() => gateway.stop())
  return gateway
}
