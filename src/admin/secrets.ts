// Stored secrets as operators change and see them: values go in, and there is no way by which one comes out.
import type { ListedSecret, ListedVersion, SecretAdministration, SecretChange } from '../credentials/administer.ts'
import type { Terms } from '../credentials/make-version.ts'
import type { NewSecret } from '../credentials/provision.ts'
import { SCHEMES } from '../credentials/schemes/index.ts'
import type { AdminInput, AdminOutput } from '../descriptor/admin-entrances.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, SecretScheme } from '../model/ports.ts'
import { endOf, instantOrNull, invalid } from './instants.ts'
import type { Deed, Facts } from './operation.ts'

type Changed = AdminOutput<'setSecret'>

export interface SecretsPorts {
  readonly clock: Pick<Clock, 'date'>
  readonly secrets: SecretAdministration
}

export function createSecretOperations({ clock, secrets }: SecretsPorts) {
  const change = (detail: Facts, work: () => Promise<SecretChange>): Deed<Changed> => ({
    detail,
    async carryOut() {
      const { name, version, warnings } = await orNotFound(work)
      return { answer: { name, version, warnings: [...warnings] }, detail: { version } }
    },
  })

  return {
    async listSecrets(): Promise<AdminOutput<'listSecrets'>> {
      return { secrets: (await secrets.list()).map(viewSecret) }
    },
    async getSecret({ params }: AdminInput<'getSecret'>): Promise<AdminOutput<'getSecret'>> {
      const found = (await secrets.list()).find(({ name }) => name === params.name)
      if (found) return viewSecret(found)
      throw new GatewayError('NotFound', `There is no secret "${params.name}"; GET /v1/admin/secrets lists them.`)
    },
    setSecret({ params, body }: AdminInput<'setSecret'>): Deed<Changed> {
      const { scheme, origins, callers } = body
      const secret = { name: params.name ?? '', scheme: known(scheme), origins, callers, ...valuesOf(body) }
      const terms = termsOf(body, clock.date())
      return change({ scheme }, () => secrets.set(secret, terms))
    },
    rotateSecret({ params, body }: AdminInput<'rotateSecret'>): Deed<Changed> {
      const { scheme, origins, callers } = body
      const rotation = {
        ...{ ...valuesOf(body), ...termsOf(body, clock.date()) },
        ...(scheme === undefined ? {} : { scheme: known(scheme) }),
        ...(origins === undefined ? {} : { origins }),
        ...(callers === undefined ? {} : { callers }),
      }
      return change({ scheme: scheme ?? null }, () => secrets.rotate(params.name ?? '', rotation))
    },
    revokeSecret({ params, body }: AdminInput<'revokeSecret'>): Deed<Changed> {
      const version = body.version ?? null
      return change({ revoked: version }, () => secrets.revoke(params.name ?? '', version))
    },
    deleteSecret: ({ params }: AdminInput<'deleteSecret'>): Deed<Changed> => change({}, () => secrets.remove(params.name ?? '')),
    rekeySecrets: (): Deed<AdminOutput<'rekeySecrets'>> => ({
      detail: {},
      async carryOut() {
        const { keyId, resealed, unchanged, failed } = await secrets.rekey()
        const answer = { keyId, resealed: [...resealed], unchanged, failed: failed.map((each) => ({ ...each })) }
        return { answer, detail: { keyId, resealed: resealed.length, unchanged, failed: failed.length } }
      },
    }),
  }
}

/** At the admin entrance a name that there is none of is NotFound, whatever it names. */
async function orNotFound<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof GatewayError && error.type === 'UnknownCredential')
      throw new GatewayError('NotFound', error.message, { cause: error })
    throw error
  }
}

/** Judged ahead of the record: what somebody put in the wrong place must not be written down. */
function known(scheme: string): SecretScheme {
  if (Object.hasOwn(SCHEMES, scheme)) return scheme as SecretScheme
  throw invalid('/scheme', `must be one of ${Object.keys(SCHEMES).join(', ')}`)
}

/** One set of values, or a pool of which the first stands for all. */
function valuesOf({
  values,
  pick,
}: Pick<AdminInput<'setSecret'>['body'], 'values' | 'pick'>): Pick<NewSecret, 'values' | 'pool'> {
  const [first = {}, ...more] = Array.isArray(values) ? values : [values]
  if (more.length === 0 && pick !== undefined) throw invalid('/pick', 'is for a pool: give a list of at least two sets of values')
  return more.length === 0
    ? { values: first }
    : { values: first, pool: { pick: pick ?? 'round-robin', members: [first, ...more] } }
}

function termsOf(
  body: Pick<AdminInput<'setSecret'>['body'], 'notBefore' | 'expiresIn' | 'expiresAt' | 'overlap'>,
  now: number,
): Terms {
  const expiresAt = endOf(body, 'expiresAt', now)
  return {
    ...(body.notBefore === undefined ? {} : { notBefore: body.notBefore }),
    ...(expiresAt === null ? {} : { expiresAt }),
    ...(body.overlap === undefined ? {} : { overlapMs: body.overlap }),
  }
}

function viewSecret(secret: ListedSecret): AdminOutput<'getSecret'> {
  if ('fault' in secret) return { name: secret.name, keyId: null, versions: [], fault: secret.fault }
  return { name: secret.name, keyId: secret.keyId, versions: secret.versions.map(viewVersion), fault: null }
}

/** Field by field: what a version comes to hold later is shown when it is known to be harmless. */
function viewVersion({ version, state, scheme, origins, callers, pool, ...times }: ListedVersion) {
  return {
    ...{ version, state, scheme, origins: [...origins], callers: [...callers] },
    pool: pool && { pick: pool.pick, size: pool.size },
    createdAt: instantOrNull(times.createdAt),
    notBefore: instantOrNull(times.notBefore),
    expiresAt: instantOrNull(times.expiresAt),
    overlapUntil: instantOrNull(times.overlapUntil),
    revokedAt: instantOrNull(times.revokedAt),
  }
}
