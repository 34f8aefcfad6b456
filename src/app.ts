// The only place that constructs and joins things: configuration in, a running gateway out.
import { randomBytes } from 'node:crypto'
import { setImmediate as immediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { createAdapterPool } from './adapters/adapter-pool.ts'
import { createBreakerFleet } from './adapters/breaker-fleet.ts'
import { createCooldownFleet } from './adapters/cooldown-fleet.ts'
import { createRoutes } from './adapters/routes.ts'
import { createSharedRates } from './adapters/shared-rates.ts'
import { createTwinRoutes } from './adapters/twin-routes.ts'
import { createAdministration } from './admin/administration.ts'
import { type ConfigChange, describeChange } from './admin/config-change.ts'
import { createLogLevel, type LogLevelSwitch } from './admin/log-level.ts'
import { createOperations } from './admin/operations.ts'
import type { Reloaded } from './admin/process.ts'
import { createSharedOverrides } from './admin/shared-overrides.ts'
import { type Audit, openAudit } from './audit/audit.ts'
import type { CallerAdministration } from './callers/administration.ts'
import type { Callers } from './callers/callers.ts'
import { createKeyFetch } from './callers/fetch-keys.ts'
import { type Identities, openIdentities } from './callers/identities.ts'
import type { Config, ListenPems } from './config/config.ts'
import type { SecretAdministration } from './credentials/administer.ts'
import type { SecretBook } from './credentials/book.ts'
import { createKeyPools } from './credentials/key-pool.ts'
import { createEphemeralKeyRing } from './credentials/key-ring.ts'
import type { Terms } from './credentials/make-version.ts'
import { openKeyRing, openSecrets } from './credentials/open-secrets.ts'
import type { NewSecret } from './credentials/provision.ts'
import { SCHEMES } from './credentials/schemes/index.ts'
import { createTextSealer } from './credentials/seal-text.ts'
import { createSealedTexts } from './credentials/sealed-texts.ts'
import { createSharedStates, noSharedState } from './credentials/shared-state.ts'
import { createTokenExchange, type MountedOn, rehearseTokenExchange } from './credentials/token-exchange.ts'
import { buildOpenApi } from './descriptor/openapi.ts'
import { GatewayError } from './errors/gateway-error.ts'
import { createGateway } from './gateway.ts'
import { administered, LASTING_TEXTS, openAuditKeys, openConfiguredStores, systemClock } from './installation.ts'
import { createBreakerRotation } from './layers/breaker.ts'
import { credentials } from './layers/credentials.ts'
import { egress } from './layers/egress.ts'
import { idempotency } from './layers/idempotency.ts'
import { redirect } from './layers/redirect.ts'
import type { AdapterPolicy } from './model/adapter-policy.ts'
import type { AuditSearch } from './model/audit-search.ts'
import type { TokenPorts } from './model/credential-scheme.ts'
import { releaseSpare } from './model/give-back.ts'
import type { AuditLog, Clock, LogLevel, Routes } from './model/ports.ts'
import { VERSION } from './model/version.ts'
import { callStack, rehearsalStack } from './pipeline.ts'
import { createUnicastJudge } from './policy/address-rules.ts'
import { restAfter } from './policy/key-cooldown.ts'
import { createOverrides } from './policy/overrides.ts'
import { planHop } from './policy/plan-hop.ts'
import { createQuotas } from './policy/quota.ts'
import { createTokenBucket, type OpenBucket } from './policy/token-bucket.ts'
import { composeHop } from './prepare/compose-hop.ts'
import { resolveLocation } from './prepare/resolve-location.ts'
import { prepareUrl } from './prepare/url.ts'
import type { Readiness } from './server/probes.ts'
import { createServer, type HttpFace } from './server/server.ts'
import { createSessionIndex } from './sessions/session-index.ts'
import { createSessionList } from './sessions/session-list.ts'
import { createSessions } from './sessions/sessions.ts'
import { type AdapterShared, buildShared, buildStack, type StackPorts } from './stacks.ts'
import { type Stores, untilConnected } from './stores/open-stores.ts'
import { sealOutcomes, sealValues } from './stores/sealed.ts'
import type { ProcessLogger } from './telemetry/logger.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { OpenTraces } from './telemetry/traces.ts'
import { createOwnListeners } from './transport/own-listeners.ts'
import { createPoster } from './transport/post.ts'
import { createRehearsal } from './transport/rehearsal.ts'
import { createResolver } from './transport/resolver.ts'

export interface App {
  listen: HttpFace['listen']
  /** Takes adapters, callers, ceilings, CA bundles and the log level of `config`; what else differs needs a restart. */
  reload(config: Config): ConfigChange
  /** Takes note, for metrics, of a configuration that could not be taken. */
  reloadRefused(): void
  setLogLevel: LogLevelSwitch['set']
  /** The metrics of this process, for whoever adds them up. */
  samples: Metrics['samples']
  readonly secrets: SecretAdministration
  /** Stores a secret as the next version of its name. */
  provision(secret: NewSecret, terms?: Terms): Promise<number>
  readonly auditSearch: AuditSearch
  /** The callers and their keys, for operators. */
  readonly callers: CallerAdministration
  /** Refuses new calls, waits for those under way, then closes everything. `notice`: takes new ones for listen.drainNotice first. */
  drain(options?: { readonly notice: boolean }): Promise<void>
}

/** Origins at once, all adapters together, and how long one without calls is kept. */
const MAX_ORIGINS = 5000
const ORIGIN_IDLE_MS = 300_000
/** How long the collector has for the last spans when the gateway stops. */
const LAST_SPANS_MS = 3000
/** Memory of large bodies that no other needed for so long goes back to the system. */
const RELEASE_MS = 500

/** What a reload replaces, all at once. */
interface Snapshot {
  readonly config: Config
  readonly routes: Routes
  /** For token requests and the keys of issuers. */
  readonly tokenRoutes: Routes
  readonly callers: Callers
}

export interface AppPorts {
  readonly log: ProcessLogger
  readonly clock?: Clock
  /** Reads the configuration anew and gives it to `App.reload`, as a signal does; asked by operators at the admin entrance. */
  readonly reload: () => Promise<Reloaded>
  /** null or absent: calls are not traced. */
  readonly traces?: OpenTraces | null
  /** null or absent: this process has all that a machine has one of. */
  readonly machine?: Machine | null
}

/** What the workers of a machine have in common, as the primary answers it. */
export interface Machine {
  readonly audit: Audit
  readonly scrape: Metrics['scrape']
  /** What an operator set holds for the log of every worker. */
  setLogLevel(level: LogLevel | null, by: string, forMs: number | null): void
}

export function createApp(config: Config, { log, clock = systemClock, reload, traces, machine = null }: AppPorts): App {
  const metrics = createMetrics({ version: VERSION })
  const tracer = traces?.({ clock, log, meter: metrics, scheme: config.listen.tls ? 'https' : 'http' }) ?? null
  const keys = openKeyRing(config.store)
  const stores = openConfiguredStores(config, { canSeal: keys !== null, clock, meter: metrics, log })
  const ring = keys ?? createEphemeralKeyRing()
  const texts = createTextSealer({ ring, installation: config.store.installation })
  const sealedTexts = createSealedTexts(texts, log)
  const { book: secrets, administration: secretAdministration } = openSecrets(
    config.store,
    { ring, lasting: keys !== null },
    { store: stores.secrets, values: stores.values, clock, log, texts: LASTING_TEXTS },
  )
  const poster = createPoster()
  const audit =
    machine?.audit ??
    openAudit(config.audit, {
      ...{ dataDir: config.dataDir, keys: openAuditKeys(config, keys), clock, random: Math.random, meter: metrics, log },
      ...{
        stdout: process.stdout,
        post: poster.post,
        stream: config.audit.stream && (stores.auditStream?.(config.audit.stream) ?? null),
      },
    })
  metrics.watchSinks(audit.lags)
  const issuerKeys = createKeyFetch({ call: (incoming) => gateway.call(incoming) })
  const identities = openIdentities({
    ...{ store: stores.values, clock, log, staleForMs: config.store.staleForMs },
    ...{ sealer: keys && texts, fetch: issuerKeys.fetch },
    configured: () => administered(snapshot.config),
  })
  let snapshot = takeSnapshot(config, identities)
  const resolver = createResolver({ servers: config.dns.servers, clock, meter: metrics })
  const rotation = createBreakerRotation(clock)
  const replica = randomBytes(8).toString('hex')
  const fleet = createBreakerFleet({ board: stores.breakers, clock, replica })
  const cooldowns = createCooldownFleet({ board: stores.cooldowns, clock, replica })
  const live = (): number => Math.max(config.workers, fleet.live())
  const sharedRates = stores.rates && createSharedRates({ store: stores.rates, clock, log, replica, live })
  const openBucket: OpenBucket = sharedRates?.open ?? ((_name, rate) => createTokenBucket(rate, clock))
  const own = createOwnListeners()
  const overrides = createOverrides(clock)
  const sharedOverrides = createSharedOverrides({
    ...{ overrides, clock, log, store: stores.values },
    sealer: keys && texts,
    onChange: () => void pool.samples(), // whoever is looked at tells log and metrics that it moved
  })
  const logLevel = createLogLevel(config.log.level, { clock, apply: log.setLevel })
  const jars = sealValues(stores.sessions, sealedTexts, 'session')
  const sessionIndex = createSessionIndex(jars)
  const mountedOn = (url: string): AdapterPolicy | null => adapterFor(url, snapshot.routes)
  const tokens = createTokenExchange({ gateway: { call: (incoming) => gateway.call(incoming) }, mountedOn, clock })
  const shared = createSharedStates({ values: stores.tokens, sealer: texts, clock })
  const tokenPorts: TokenPorts = { clock, exchange: tokens.exchange, shared: shared.of, meter: metrics, log }
  const held = { secrets, schemes: SCHEMES, openPool: createKeyPools({ clock, log, restAfter }) }
  const attach = credentials({ ...held, tokens: tokenPorts })
  const pretend = credentials({ ...held, tokens: rehearseTokens(tokenPorts, mountedOn) })
  const stackPorts: StackPorts = {
    clock,
    metrics,
    log,
    rotation,
    fleet,
    cooldowns,
    openBucket,
    credentials: attach,
    overrides,
    transport: {
      clock,
      meter: metrics,
      resolver,
      secrets,
      ownListeners: own,
      caBundle: (name) => snapshot.config.caBundles.get(name) ?? '',
    },
  }
  const pool = createAdapterPool<AdapterShared>({
    clock,
    maxOrigins: MAX_ORIGINS,
    idleMs: ORIGIN_IDLE_MS,
    buildShared: (adapter) => buildShared(adapter, clock),
    build: (adapter, origin, shared) => buildStack(adapter, origin, shared, stackPorts),
  })
  const judge = egress({ keys: { isKey: (value) => snapshot.callers.isKey(value) } })
  const quotas = createQuotas(openBucket)
  const gateway = createGateway({
    clock,
    routes: (entrance) => (entrance === 'token' ? snapshot.tokenRoutes : snapshot.routes),
    dispatch: callStack({
      idempotency: idempotency({
        store: sealOutcomes(stores.idempotency, sealedTexts),
        local: stores.localIdempotency,
        clock,
        random: Math.random,
      }),
      redirect: redirect({ planHop, composeHop, resolveLocation }),
      egress: judge,
    })(pool.dispatch),
    rehearse: rehearsalStack({ egress: judge, credentials: pretend })(createRehearsal(stackPorts.transport)),
    quotas,
    sessions: createSessions({ store: jars, clock, ttlMs: config.sessions.ttlMs, index: sessionIndex }),
    audit,
    meter: metrics,
    log,
    tracer,
    nextTurn: () => immediate(),
    makeBoundary: () => randomBytes(16).toString('hex'),
    isGlobalUnicast: createUnicastJudge(),
  })
  const administration = createAdministration({
    ...{ audit, log, meter: metrics },
    operations: createOperations({
      logLevel: machine ? { ...logLevel, set: setEverywhere(logLevel.set, machine.setLogLevel) } : logLevel,
      ...{ clock, overrides: sharedOverrides, secrets: secretAdministration, callers: identities.administration },
      config: () => snapshot.config,
      reload,
      samples: () => pool.samples(),
      trail: audit.search,
      sessions: createSessionList(jars, sessionIndex),
    }),
  })
  const { listen } = config
  const face = createServer(
    {
      host: listen.host,
      port: listen.port,
      descriptorLimit: listen.descriptorBytes,
      maxConnections: listen.connections,
      metrics: config.metrics,
      load: config.overload,
      tls: listen.tls && config.listenPems && { ...listen.tls, ...config.listenPems },
      clocks: { headMs: listen.headTimeoutMs, requestMs: listen.bodyTimeoutMs, keepAliveMs: listen.keepAliveMs },
    },
    {
      gateway,
      callers: () => snapshot.callers,
      readiness: () => readiness({ stores, secrets, identities, audit }),
      administration,
      openapi: () => buildOpenApi(VERSION),
      scrape: machine?.scrape ?? metrics.scrape,
    },
  )
  metrics.register('connections', () => face.connections())
  metrics.register('inFlight', () => face.inFlight())
  metrics.watchOverrides(overrides.all)
  metrics.register('connectionsLimit', () => listen.connections)
  metrics.configTaken(callerNames(config))
  metrics.watchAdapters(function* () {
    for (const sample of pool.samples()) yield [sample.adapter, sample] as const
  })
  metrics.watchCredentials(() => secrets.samples())
  metrics.watchQuotas(() => snapshot.config.callers.flatMap(({ caller }) => quotas.levels(caller)))

  const releasing = setInterval(releaseSpare, RELEASE_MS).unref()

  return {
    callers: identities.administration,
    async listen() {
      // Calls that came before the first answer of the store would be refused for want of their credentials.
      await untilConnected(stores)
      await secrets.refresh()
      const bound = await face.listen()
      own.add(bound)
      if (bound.metrics) own.add(bound.metrics)
      return bound
    },
    reload(next) {
      const before = snapshot.config
      snapshot = takeSnapshot(next, identities)
      pool.reconcile(next.adapters, { rebuild: !sameBundles(before, next) })
      metrics.configTaken(callerNames(next))
      renewCertificates(face, before.listenPems, next.listenPems)
      logLevel.configure(next.log.level)
      return describeChange(before, next)
    },
    reloadRefused: metrics.configRefused,
    setLogLevel: logLevel.set,
    samples: metrics.samples,
    secrets: secretAdministration,
    auditSearch: audit.search,
    provision: async (secret, terms) => (await secretAdministration.set(secret, terms)).version ?? 0,
    async drain({ notice } = { notice: false }) {
      const { drainMs, drainNoticeMs } = snapshot.config.listen
      await face.drain(drainMs, notice ? drainNoticeMs : 0)
      await tokens.close()
      issuerKeys.close()
      await shared.close()
      await pool.close()
      await audit.close()
      await tracer?.close(LAST_SPANS_MS)
      await poster.close()
      await identities.close()
      secrets.close()
      sharedOverrides.close()
      logLevel.close()
      rotation.close()
      fleet.close()
      cooldowns.close()
      sharedRates?.close()
      resolver.close()
      stores.close()
      clearInterval(releasing)
      log.flush()
    },
  }
}

/** A call that cannot be recorded is not made; without the store many still can be. */
function readiness(state: {
  readonly stores: Pick<Stores, 'kind' | 'healthy'>
  readonly secrets: Pick<SecretBook, 'fresh'>
  readonly identities: Pick<Identities, 'fresh'>
  readonly audit: Pick<AuditLog, 'writable'>
}): Readiness {
  const whole = state.stores.healthy() && state.secrets.fresh && state.identities.fresh
  const degraded: string[] = whole ? [] : [state.stores.kind]
  if (state.audit.writable()) return { ready: true, degraded }
  return { ready: false, degraded: [...degraded, 'audit'], because: 'the audit trail cannot be written, and so no call is made' }
}

function takeSnapshot(config: Config, identities: Identities): Snapshot {
  const routes = createRoutes(config.adapters, config.ceilings, new Set(config.caBundles.keys()))
  return {
    config,
    routes,
    tokenRoutes: createTwinRoutes(routes, ':token'),
    callers: identities.callers(
      config.callers.map(({ caller, keyHashes, jwt, certificates }) => ({
        ...{ ...caller, jwt, certificates },
        keys: keyHashes.map((hash) => ({ sha256: Buffer.from(hash, 'hex') })),
      })),
    ),
  }
}

/** Whether there is TLS at all, and what it asks of callers, is settled at the start. */
function renewCertificates(face: Pick<HttpFace, 'renewTls'>, before: ListenPems | null, next: ListenPems | null): void {
  if (before !== null && next !== null && !isDeepStrictEqual(before, next)) face.renewTls(next)
}

/** For calls that are explained and not sent. */
function rehearseTokens(ports: TokenPorts, mountedOn: MountedOn): TokenPorts {
  const exchange = rehearseTokenExchange(mountedOn)
  return { ...ports, exchange, shared: () => noSharedState, meter: { tokenRenewed() {} }, log: { log() {} } }
}

function callerNames({ callers }: Config): readonly string[] {
  return callers.map(({ caller }) => caller.name)
}

function adapterFor(url: string, routes: Routes): AdapterPolicy | null {
  try {
    return routes.find(prepareUrl(url, undefined).url)?.adapter ?? null
  } catch (error) {
    if (error instanceof GatewayError) return null
    throw error
  }
}

function sameBundles(before: Config, next: Config): boolean {
  return (
    before.caBundles.size === next.caBundles.size &&
    [...before.caBundles].every(([name, pem]) => next.caBundles.get(name) === pem)
  )
}

function setEverywhere(here: LogLevelSwitch['set'], elsewhere: LogLevelSwitch['set']): LogLevelSwitch['set'] {
  return (...set) => {
    here(...set)
    elsewhere(...set)
  }
}
