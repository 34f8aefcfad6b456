import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { faultsOf, load } from './support.ts'

const withAudit = (audit: object): string => JSON.stringify({ adapters: [{ name: 'a', mount: 'https://a.example/' }], audit })

describe('what is refused about the audit trail', () => {
  for (const [name, audit, said] of [
    [
      'two sinks of one name',
      { sinks: [{ type: 'stdout' }, { type: 'stdout' }] },
      /audit\.sinks\[1\]\.name is also the name of audit\.sinks\[0\]/,
    ],
    [
      'a collector without a URL',
      { sinks: [{ type: 'http' }] },
      /audit\.sinks\[0\]\.url is missing; a sink of the type http needs one/,
    ],
    [
      'standard output with a URL',
      { sinks: [{ type: 'stdout', url: 'http://x/' }] },
      /is stdout, which has no url, headers or ca/,
    ],
    ['a login in a URL', { sinks: [{ type: 'http', url: 'http://u:canary@x/' }] }, /holds a login; send it in headers/],
    ['a bundle that is not there', { sinks: [{ type: 'http', url: 'http://x/', ca: 'corp' }] }, /audit\.sinks\[0\]\.ca/],
    ['a sink called stream', { sinks: [{ type: 'stdout', name: 'stream' }] }, /what the stream in Redis is called/],
    ['a stream without Redis', { stream: {} }, /audit\.stream wants store\.redis/],
    ['a header that is none', { sinks: [{ type: 'http', url: 'http://x/', headers: { 'a b': 'c' } }] }, /is not a header name/],
    ['an age without a unit', { retention: '400' }, /audit\.retention must be/],
    ['an age that is no age', { compressAfter: '5x' }, /audit\.compressAfter must be/],
    ['key and keyFile', { key: 'k:a', keyFile: 'audit.key' }, /audit\.key stands beside audit\.keyFile/],
  ] as const)
    test(name, async () => {
      const faults = await faultsOf(withAudit(audit), {}, { 'audit.key': 'k:a' })
      assert.equal(faults.length, 1, faults.join('\n'))
      assert.match(faults[0] ?? '', said)
      assert.doesNotMatch(faults[0] ?? '', /canary/)
    })
})

test('what is kept, and for how long, is read in days and switched off in words', async () => {
  const { config: plain } = await load(withAudit({}))
  const { retentionMs, compressAfterMs, checkpoint, stream, sinks } = plain.audit
  assert.deepEqual(
    [retentionMs, compressAfterMs, checkpoint, stream, sinks],
    [400 * 86_400_000, 86_400_000, { everyMs: 600_000, file: null }, null, []],
  )
  const { config: off } = await load(withAudit({ retention: 'off', compressAfter: false, checkpoint: 'off' }))
  assert.deepEqual([off.audit.retentionMs, off.audit.compressAfterMs, off.audit.checkpoint], [null, null, null])
})
