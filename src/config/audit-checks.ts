// What the keys of the audit trail mean together.
import { type Facts, repeated, unknownName } from './facts.ts'
import type { Objection } from './faults.ts'

export function auditChecks({ written, config }: Facts): Objection[] {
  const { sinks, stream } = written.audit
  const objections: Objection[] = repeated(config.audit.sinks.map(({ name }) => name)).map(([index, first]) => ({
    path: ['audit', 'sinks', index, 'name'],
    message: `is also the name of audit.sinks[${first}]; give each sink its own`,
    or: ['audit', 'sinks', index],
  }))
  for (const [index, sink] of sinks.entries()) {
    const at = ['audit', 'sinks', index]
    for (const [key, message] of sinkFaults(sink, [...config.caBundles.keys()]))
      objections.push({ path: [...at, key], message, or: at })
  }
  if (stream && config.store.redis === null)
    objections.push({
      path: ['audit', 'stream'],
      message: 'wants store.redis, which is not set; leave it out, or use audit.sinks',
    })
  return objections
}

function sinkFaults(
  { type, name, url, ca, headers }: Facts['written']['audit']['sinks'][number],
  bundles: readonly string[],
): [key: string, message: string][] {
  const faults: [string, string][] = []
  if (name === 'stream') faults.push(['name', 'is what the stream in Redis is called; choose another'])
  if (type === 'stdout' && (url !== undefined || ca !== undefined || Object.keys(headers).length > 0))
    faults.push(['type', 'is stdout, which has no url, headers or ca; leave them out'])
  if (type !== 'stdout' && url === undefined) faults.push(['url', `is missing; a sink of the type ${type} needs one`])
  if (url !== undefined && /^[a-z]+:\/\/[^/?#]*@/i.test(url)) faults.push(['url', 'holds a login; send it in headers'])
  if (ca !== undefined && !bundles.includes(ca)) faults.push(['ca', unknownName(ca, 'bundle in caBundles', bundles)])
  return faults
}
