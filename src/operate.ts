// An installation as its operator at the command line opens it, whether its gateway runs or not.
import { readdir } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { createActLog } from './audit/acts.ts'
import { openTrail } from './audit/open-trail.ts'
import { openSink } from './audit/sinks.ts'
import { openAdministration } from './callers/identities.ts'
import type { CliStores, CliTrail } from './cli/ports.ts'
import { loadConfig } from './config/load.ts'
import { openKeyRing, openSecretAdministration } from './credentials/open-secrets.ts'
import { administered, LASTING_TEXTS, openAuditKeys, openConfiguredStores, openTextSealer, systemClock } from './installation.ts'
import { untilConnected } from './stores/open-stores.ts'
import { createPoster } from './transport/post.ts'

/** The stores of an installation without its gateway, for the command line. */
export async function openStoresOf(given: string | null): Promise<CliStores> {
  const file = given ?? process.env.SALLYPORT_CONFIG
  if (!file) throw new Error('say which installation: --config FILE, or SALLYPORT_CONFIG')
  const { config } = await loadConfig({ file, env: process.env })
  const quiet = { log: () => {} }
  const keys = openKeyRing(config.store)
  const stores = openConfiguredStores(config, {
    canSeal: keys !== null,
    clock: systemClock,
    meter: { storeHealthy: () => {}, storeAnswered: () => {} },
    log: quiet,
  })
  await untilConnected(stores)
  const callers = openAdministration({
    ...{ store: stores.values, sealer: openTextSealer(config), clock: systemClock, log: quiet },
    configured: () => administered(config),
  })
  const { who, detail } = operator()
  const auditKeys = openAuditKeys(config, keys)
  const { act } = createActLog({
    ...{ dataDir: config.dataDir, clock: systemClock, keys: auditKeys, who, detail },
    sink: config.audit.stream && (stores.auditStream?.(config.audit.stream) ?? null),
  })
  const secrets =
    keys &&
    openSecretAdministration(config.store, keys, {
      ...{ store: stores.secrets, values: stores.values, clock: systemClock, texts: LASTING_TEXTS },
    })
  return { secrets, callers, who, act, close: stores.close }
}

/** The audit trail of an installation, whether its gateway runs or not. Of a copy all but verifying goes without its configuration. */
export async function openTrailOf({ configFile, dir }: { configFile: string | null; dir: string | null }): Promise<CliTrail> {
  const file = configFile ?? process.env.SALLYPORT_CONFIG
  if (!file && dir === null) throw new Error('say which installation: --config FILE, or SALLYPORT_CONFIG')
  if (dir !== null && !(await isFolder(dir))) throw new Error(`--dir: there is no folder ${dir} that can be read`)
  const config = file ? (await loadConfig({ file, env: process.env })).config : null
  const keys = config && openAuditKeys(config, openKeyRing(config.store))
  const trail = openTrail(dir ?? join(config?.dataDir ?? '', 'audit'), keys, { copy: dir !== null })
  const poster = createPoster()
  return {
    ...trail,
    openSink: (settings) => openSink(settings, { stdout: process.stdout, post: poster.post }),
    async close() {
      await trail.close()
      await poster.close()
    },
  }
}

async function isFolder(path: string): Promise<boolean> {
  return readdir(path).then(
    () => true,
    () => false,
  )
}

/** Who sits at the command line: sudo is believed only by root, who could say anything. */
function operator(): { who: string; detail: Record<string, string> } {
  const { username, uid } = userInfo()
  const behind = uid === 0 ? process.env.SUDO_USER : undefined
  return behind ? { who: behind, detail: { host: hostname(), as: username } } : { who: username, detail: { host: hostname() } }
}
