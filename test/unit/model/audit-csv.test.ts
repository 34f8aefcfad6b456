import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CSV_HEADER, csvRow } from '../../../src/model/audit-csv.ts'
import type { AuditCall } from '../../../src/model/audit-search.ts'

const call = (over: Partial<AuditCall> = {}): AuditCall => ({
  ...{ kind: 'call', chain: 'c', seq: 1, at: 't', id: 'r', caller: 'billing', method: 'GET', url: 'https://h/', adapter: 'a' },
  ...{
    credential: null,
    tags: {},
    endedAt: 't',
    status: 200,
    error: null,
    sent: 'yes',
    attempts: [],
    durationMs: 1.5,
    bytesOut: 0,
    bodies: null,
    bytesIn: 2,
  },
  ...over,
})

/** RFC 4180, as a reader would. */
function parseRow(row: string): string[] {
  assert.ok(row.endsWith('\r\n'))
  const cells = [...row.slice(0, -2).matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g)]
  assert.equal(cells.map(([whole]) => whole).join(''), row.slice(0, -2))
  return cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '')
}

const cellOf = (found: AuditCall, column: string) => parseRow(csvRow(found))[CSV_HEADER.trim().split(',').indexOf(column)]

test('any text is read back as it was, and none begins as a formula would', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('=1+1', '@SUM(A1)', '+1', '-1', '\t=x', 'a"b', 'a,b', 'a\r\nb', ' '),
      ),
      (id) => {
        const cell = cellOf(call({ id }), 'id') ?? ''
        assert.equal(cell.startsWith("'") && /^[=+\-@\t\r]/.test(id) ? cell.slice(1) : cell, id)
        assert.doesNotMatch(cell, /^[=+\-@\t\r]/)
      },
    ),
  )
})

test('numbers stay numbers, objects are JSON, what is absent is empty', () => {
  const found = call({ tags: { team: 'x' }, durationMs: -1.5, status: null })
  assert.deepEqual(
    ['durationMs', 'tags', 'status', 'attempts', 'note'].map((column) => cellOf(found, column)),
    ['-1.5', '{"team":"x"}', '', '0', ''],
  )
  assert.equal(parseRow(csvRow(found)).length, parseRow(CSV_HEADER).length)
  const act = {
    kind: 'act',
    chain: 'c',
    seq: 2,
    at: 't',
    who: 'ann',
    via: 'cli',
    act: 'secret.set',
    subject: 's',
    id: null,
    error: null,
    detail: { a: 1 },
  } as const
  assert.match(csvRow(act), /,ann,.*,cli,secret\.set,s,,"\{""a"":1\}",\r\n$/)
})
