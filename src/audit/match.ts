// Whether a record is one that a question asks for: the same answer as the index gives, for records that are read as they come.
import type { AuditCall, AuditFound, AuditQuery } from '../model/audit-search.ts'

export function matches(found: AuditFound, query: AuditQuery): boolean {
  const at = Date.parse(found.at)
  if (query.kind !== undefined && found.kind !== query.kind) return false
  if ((query.from !== undefined && at < query.from) || (query.to !== undefined && at >= query.to)) return false
  if (found.kind === 'note') return isOpen(query)
  if (query.caller !== undefined && (found.kind === 'act' ? found.who : found.caller) !== query.caller) return false
  if (query.requestId !== undefined && found.id !== query.requestId) return false
  if (!matchesError(found, query.error)) return false
  if (found.kind === 'act')
    return (
      isOpen({ ...query, caller: undefined, requestId: undefined, error: undefined, credential: undefined }) &&
      (query.credential === undefined || (found.act.startsWith('secret.') && found.subject === query.credential))
    )
  return matchesCall(found, query)
}

type Loose = { readonly [K in keyof AuditQuery]?: AuditQuery[K] | undefined }

/** Asks for nothing that calls alone have. */
function isOpen({ caller, adapter, host, status, error, tags = [], requestId, credential, minDurationMs }: Loose): boolean {
  return [caller, adapter, host, status, error, tags[0], requestId, credential, minDurationMs].every(
    (asked) => asked === undefined,
  )
}

function matchesError({ error, kind, ...rest }: Exclude<AuditFound, { kind: 'note' }>, asked: string | undefined): boolean {
  if (asked === undefined) return true
  if (asked === 'any') return error !== null
  if (asked === 'none') return kind === 'call' && error === null && (rest as AuditCall).endedAt !== null
  return error === asked
}

function matchesCall(call: AuditCall, { adapter, host, status, tags = [], credential, minDurationMs }: AuditQuery): boolean {
  if (adapter !== undefined && call.adapter !== adapter) return false
  if (minDurationMs !== undefined && (call.durationMs ?? -1) < minDurationMs) return false
  if (!matchesStatus(call.status, status)) return false
  if (credential !== undefined && call.credential !== credential && call.credential?.replace(/@\d+$/, '') !== credential)
    return false
  if (host !== undefined && !hostsOf(call).includes(host.toLowerCase())) return false
  return tags.every((tag) => Object.entries(call.tags).some(([name, value]) => tag === name || tag === `${name}=${value}`))
}

function matchesStatus(status: number | null, asked: AuditQuery['status']): boolean {
  if (asked === undefined) return true
  if (asked === 'none') return status === null
  return typeof asked === 'number' ? status === asked : status !== null && Math.floor(status / 100) === Number(asked[0])
}

/** Lower case; each also without its port. */
export function hostsOf({
  url,
  attempts,
}: {
  readonly url?: string | null
  readonly attempts?: readonly { readonly origin: string }[]
}): string[] {
  return [url ?? '', ...(attempts ?? []).map(({ origin }) => origin)].flatMap((each) => {
    const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(each)?.[1]?.toLowerCase()
    if (!authority) return []
    const name = authority.replace(/:\d+$/, '')
    return name === authority ? [name] : [name, authority]
  })
}
