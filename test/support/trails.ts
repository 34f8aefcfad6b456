// An audit trail of a test's own: a folder, a clock that is turned, and calls as a gateway would record them.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { type ChainOptions, type ChainWriter, openChain } from '../../src/audit/chain-writer.ts'
import type { AuditIntent, AuditResult } from '../../src/model/ports.ts'

export const TRAIL_KEYS = createAuditKeys([{ id: 'k1', key: Buffer.alloc(32, 1) }])
export const TRAIL_START = Date.UTC(2026, 0, 1, 12)

export interface CallFacts extends Partial<Omit<AuditIntent, 'id'>>, Partial<Omit<AuditResult, 'intent'>> {
  /** It never ended. Default false. */
  readonly lost?: boolean
  /** How long it took, ms, on the trail's clock. */
  readonly takes?: number
}

export function aTrailFolder(t: TestContext | null, over: Partial<ChainOptions> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'trail-'))
  t?.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const folder = join(dataDir, 'audit')
  mkdirSync(folder)
  const time = { now: TRAIL_START }
  const open = (more: Partial<ChainOptions> = {}): ChainWriter =>
    openChain({ folder, writer: 'gateway', clock: { date: () => time.now }, keys: TRAIL_KEYS, ...over, ...more })
  const call = (chain: ChainWriter, facts: CallFacts = {}): number => {
    const {
      id = 'r-1',
      caller = 'billing',
      method = 'GET',
      url = 'https://api.example.com/p',
      adapter = 'api',
      tags = {},
      lost,
      takes = 0,
    } = facts
    const {
      status = 200,
      error = null,
      sent = 'yes',
      credential = null,
      attempts = [],
      durationMs = takes,
      bytesOut = 1,
      bytesIn = 2,
    } = facts
    const named = credential?.replace(/@\d+$/, '') ?? null
    const intent = chain.append([{ kind: 'intent', record: { id, caller, method, url, adapter, credential: named, tags } }])
    time.now += takes
    const result = { id, intent, caller, url, adapter, status, error, sent, credential, attempts, durationMs, bytesOut, bytesIn }
    if (!lost) chain.append([{ kind: 'result', record: result }])
    return intent
  }
  return { dataDir, folder, time, open, call }
}
