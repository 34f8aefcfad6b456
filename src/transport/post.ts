// A request of the gateway's own, to a place that the operator named in the configuration: bounded in time and size, no redirect,
// no retry. Nothing that a caller says ever comes here.
import { Agent, request } from 'undici'
import type { Post } from '../model/audit-sink.ts'

const CONNECT_MS = 5000
const SILENCE_MS = 10_000
const TOTAL_MS = 30_000
const ANSWER_BYTES = 4096

export interface Poster {
  readonly post: Post
  close(): Promise<void>
}

export function createPoster(): Poster {
  const agents = new Map<string | null, Agent>()
  const agentFor = (ca: string | null): Agent => {
    const known = agents.get(ca)
    if (known) return known
    const connect = { timeout: CONNECT_MS, ...(ca === null ? {} : { ca }) }
    const agent = new Agent({ connect, connections: 2, pipelining: 1, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS })
    agents.set(ca, agent)
    return agent
  }
  return {
    async post({ url, headers, body, ca }) {
      const signal = AbortSignal.timeout(TOTAL_MS)
      const answer = await request(url, { method: 'POST', headers, body, dispatcher: agentFor(ca), signal })
      let text = ''
      for await (const chunk of answer.body) {
        text += String(chunk)
        if (text.length > ANSWER_BYTES) break
      }
      return { status: answer.statusCode, text: text.slice(0, ANSWER_BYTES) }
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
    },
  }
}
