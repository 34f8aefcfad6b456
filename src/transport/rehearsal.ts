// What the transport would refuse before it asks a name server or touches a socket: an address written in the URL, a client
// certificate or a proxy's login that this caller may not use. The end of the stack that `POST /v1/prepare` goes down.
import type { Dispatch } from '../model/dispatch.ts'
import { canonicalAddress } from '../policy/address-rules.ts'
import { createHostJudge } from './dial.ts'
import { bareHostname, type TransportPorts } from './ports.ts'
import { createScopes } from './scopes.ts'

/** Answers an empty 200 where nothing would be refused; nothing is sent. */
export function createRehearsal(ports: Pick<TransportPorts, 'secrets' | 'resolver' | 'ownListeners' | 'meter'>): Dispatch {
  return async ({ plan, url }, { caller, cancellation }) => {
    const hostname = bareHostname(url.hostname)
    await createScopes(plan.adapter, url, ports.secrets)(plan, caller.name)
    if (canonicalAddress(hostname) !== null) {
      await createHostJudge(plan.adapter, ports)({ hostname, port: url.port }, { privileged: caller.admin, cancellation })
    }
    return { status: 200, reason: '', rawHeaders: [], body: Buffer.alloc(0), elapsed: 0 }
  }
}
