import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DURATION_HINT, parseDuration, parsePercent, parseRate, parseSize } from '../../../src/model/units.ts'

type Case = readonly [given: number | string, value: unknown]

const table = (
  read: (value: number | string) => { ok: boolean },
  good: readonly Case[],
  refused: readonly (number | string)[],
) => {
  for (const [given, value] of good) {
    test(`${JSON.stringify(given)} is ${JSON.stringify(value)}`, () => assert.deepEqual(read(given), { ok: true, value }))
  }
  for (const given of refused) {
    test(`${typeof given === 'number' ? given : JSON.stringify(given)} is refused with a reason`, () => {
      const reading = read(given) as { ok: boolean; fault?: string }
      assert.equal(reading.ok, false)
      assert.ok(reading.fault && reading.fault.length > 10)
    })
  }
}

describe('a duration', () => {
  table(
    parseDuration,
    [
      [0, 0],
      [250, 250],
      ['250ms', 250],
      ['3.05s', 3050],
      ['1.005s', 1005],
      ['0.001s', 1],
      ['2m', 120_000],
      ['0.5m', 30_000],
      ['1h', 3_600_000],
      ['007s', 7000],
    ],
    [
      3.05,
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      '',
      '250',
      '3,05s',
      '-1s',
      '+1s',
      '1e3ms',
      ' 1s',
      '1 s',
      '1S',
      '1d',
    ],
  )
  table(parseDuration, [], ['0.5ms', '0.0001s', '99999999999999999h', '999999999999999h', '1.s', '.5s', '1s\n', '٣s'])

  test('seconds written as a bare number are met with how to write seconds', () => {
    for (const given of [3.05, 0.5, -2, '0.5ms', '3']) {
      const reading = parseDuration(given)
      assert.ok(!reading.ok && reading.fault.includes(DURATION_HINT), String(given))
    }
    assert.equal(DURATION_HINT, 'milliseconds; for seconds write "3.05s"')
  })

  test('every whole number of milliseconds reads the same in each unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (ms) => {
        for (const text of [`${ms}ms`, `${(ms / 1000).toFixed(3)}s`])
          assert.deepEqual(parseDuration(text), { ok: true, value: ms })
      }),
    )
  })
})

describe('a size', () => {
  table(
    parseSize,
    [
      [0, 0],
      [1024, 1024],
      ['12B', 12],
      ['64KiB', 65_536],
      ['10MiB', 10_485_760],
      ['1.5MiB', 1_572_864],
      ['2GiB', 2_147_483_648],
      ['64KB', 64_000],
      ['10MB', 10_000_000],
      ['1GB', 1_000_000_000],
    ],
    [1.5, -1, Number.NaN, '1024', '10mb', '10M', '10 MiB', '0.3B', '9999999999999GiB', '', 'MiB'],
  )
})

describe('a rate', () => {
  table(
    parseRate,
    [
      ['100/s', { count: 100, perMs: 1000 }],
      ['600/m', { count: 600, perMs: 60_000 }],
      ['5000/h', { count: 5000, perMs: 3_600_000 }],
    ],
    [100, '100', '0/s', '1.5/s', '-1/s', '100/day', '100 /s', '/s'],
  )
})

describe('a share', () => {
  table(
    parsePercent,
    [
      [0, 0],
      [0.2, 0.2],
      [1, 1],
      ['50%', 0.5],
      ['12.5%', 0.125],
      ['0%', 0],
      ['100%', 1],
    ],
    [50, -0.1, 1.01, Number.NaN, '101%', '0.5', '50', '-5%', '5 %'],
  )
})

test('no unit reader throws, whatever it is given', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double()), (value) => {
      for (const read of [parseDuration, parseSize, parseRate, parsePercent]) assert.equal(typeof read(value).ok, 'boolean')
    }),
  )
})
