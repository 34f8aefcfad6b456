import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatRecords, maskUrl } from '../../../src/audit/audit-record.ts'
import type { AuditResult } from '../../../src/model/ports.ts'

describe('URLs in the audit trail', () => {
  for (const [name, url, masked] of [
    ['no URL', null, null],
    ['no query', 'https://h/p', 'https://h/p'],
    ['every value', 'https://h/p?a=1&b=2&a=3', 'https://h/p?a=***&b=***&a=***'],
    ['an empty value', 'https://h/?a=', 'https://h/?a=***'],
    ['a value with an equals sign', 'https://h/?a=b=c', 'https://h/?a=***'],
    ['a part without a name', 'https://h/?canary', 'https://h/?***'],
    ['an empty query', 'https://h/?', 'https://h/?'],
    ['empty parts', 'https://h/?&&a=1', 'https://h/?&&a=***'],
    ['a fragment', 'https://h/p#canary', 'https://h/p'],
    ['a question mark in the fragment', 'https://h/p#?canary=1', 'https://h/p'],
    ['userinfo', 'https://u:canary@h/p?x=1', 'https://h/p?x=***'],
    ['an @ in the path', 'https://h/@p', 'https://h/@p'],
  ] as const)
    test(`${name}: ${url} is written as ${masked}`, () => assert.equal(maskUrl(url), masked))

  test('no query value survives, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.webQueryParameters(), fc.string()), { maxLength: 5 }), (parts) => {
        const query = parts.map(([, value]) => `k=canary${encodeURIComponent(value.toWellFormed())}`).join('&')
        assert.ok(!maskUrl(`https://h/p?${query}#canary`)?.includes('canary'))
      }),
    )
  })
})

describe('audit records', () => {
  test('a result names what happened and nothing that was not asked for', () => {
    const attempt = { hop: 0, origin: 'https://h', address: '203.0.113.9', status: 200, sent: 'yes' as const, elapsed: 3 }
    const record = {
      ...{
        id: 'r-1',
        intent: 6,
        caller: 'billing',
        url: 'https://h/p?k=canary',
        adapter: 'a',
        status: 200,
        error: null,
        sent: 'yes',
      },
      ...{
        credential: 'token@3',
        attempts: [{ ...attempt, url: 'https://h/p?k=canary' }],
        durationMs: 4,
        bytesOut: 1,
        bytesIn: 2,
      },
      body: 'canary',
    } as unknown as AuditResult
    const text = formatRecords([{ kind: 'result', record }], 7, '2026-01-01T00:00:00.000Z')
    assert.ok(!text.includes('canary'))
    assert.deepEqual(JSON.parse(text), {
      ...{
        seq: 7,
        at: '2026-01-01T00:00:00.000Z',
        kind: 'result',
        id: 'r-1',
        intent: 6,
        caller: 'billing',
        url: 'https://h/p?k=***',
      },
      ...{ adapter: 'a', status: 200, error: null, sent: 'yes', credential: 'token@3', attempts: [attempt] },
      ...{ durationMs: 4, bytesOut: 1, bytesIn: 2 },
    })
  })

  test('whatever a caller puts into tags stays within its line', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { noNullPrototype: true }),
        (tags) => {
          const record = { id: 'r', caller: 'c', method: 'GET', url: null, adapter: null, credential: null, tags }
          const text = formatRecords([{ kind: 'intent', record }], 1, 'now')
          assert.equal(text.indexOf('\n'), text.length - 1)
          assert.deepEqual(JSON.parse(text).tags, tags)
        },
      ),
    )
  })
})
