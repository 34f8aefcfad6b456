import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CallLine } from '../../../src/model/ports.ts'
import { createLineLimit } from '../../../src/telemetry/line-limit.ts'
import { createLogger, type LoggerOptions } from '../../../src/telemetry/logger.ts'
import { loadPretty } from '../../../src/telemetry/pretty.ts'

function aLogger(over: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const logger = createLogger({ level: 'info', pretty: null, destination: { write: (line) => lines.push(line) }, ...over })
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

const CALL: CallLine = {
  requestId: 'r-1',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  caller: 'billing',
  entrance: 'requests',
  adapter: 'github',
  method: 'GET',
  url: 'https://api.github.com/repos?token=canary#part',
  status: 200,
  error: null,
  source: 'upstream',
  fault: 'none',
  rule: null,
  sent: 'yes',
  attempts: 1,
  durationMs: 12.34567,
  queuedMs: 0,
  breaker: 'closed',
  credential: 'github-token@3',
  bytesOut: 0,
  bytesIn: 100,
}

describe('logger', () => {
  test('a call is one line with its facts, without the query of its URL', () => {
    const { logger, lines, parsed } = aLogger()
    logger.callLine(CALL)
    const [line] = parsed()
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /^[^\n]*\n$/)
    assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    const { time: _, ...facts } = line ?? {}
    assert.deepEqual(facts, {
      ...CALL,
      url: 'https://api.github.com/repos',
      durationMs: 12.346,
      level: 'info',
      event: 'call',
    })
  })

  test('a call line is JSON whatever its values hold', () => {
    const { logger, parsed } = aLogger()
    const odd = '"a\\\\\u00e9\u20ac'
    const words = { requestId: odd, traceId: odd, caller: odd, adapter: odd, method: odd, credential: odd }
    const facts = { ...words, url: `https://h/${odd}`, status: null, error: 'RateLimited', rule: 'quota', breaker: null } as const
    logger.callLine({ ...CALL, ...facts, observed: ['quota', 'overload'] })
    const { time: _, ...line } = parsed()[0] ?? {}
    assert.deepEqual(line, { ...CALL, ...facts, durationMs: 12.346, observed: 'quota overload', level: 'info', event: 'call' })
  })

  describe('of calls that are shed', () => {
    const shed: CallLine = { ...CALL, error: 'Overloaded', rule: 'overload', source: 'gateway', method: null, attempts: 0 }
    const told = (lines: Record<string, unknown>[]) =>
      lines.map(({ event, caller, entrance, count }) => [event, caller, entrance, ...(count === undefined ? [] : [count])])

    test('the first of each caller has its line, those after it one line a second with their number', (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] })
      const { logger, lines, parsed } = aLogger()
      for (let second = 0; second < 2; second++) {
        for (let i = 0; i < 1000; i++) logger.callLine({ ...shed, requestId: `r-${i}` })
        t.mock.timers.tick(1000)
      }
      logger.callLine({ ...shed, caller: 'other' })
      logger.callLine({ ...shed, entrance: 'batch' })
      t.mock.timers.tick(5000)
      assert.deepEqual(told(parsed()), [
        ['call', 'billing', 'requests'],
        ['calls shed', 'billing', 'requests', 999],
        ['calls shed', 'billing', 'requests', 1000],
        ['call', 'other', 'requests'],
        ['call', 'billing', 'batch'],
      ])
      lines.length = 0
      logger.callLine(shed)
      assert.deepEqual(told(parsed()), [['call', 'billing', 'requests']], 'after a second without any it is a first again')
    })

    test('what was counted is told at the end of the process too', () => {
      const { logger, parsed } = aLogger()
      for (let i = 0; i < 3; i++) logger.callLine(shed)
      logger.flush()
      assert.deepEqual(told(parsed()), [
        ['call', 'billing', 'requests'],
        ['calls shed', 'billing', 'requests', 2],
      ])
    })

    for (const [name, other] of [
      ['another refusal', { error: 'RateLimited', rule: 'rate' }],
      ['a call that was understood first', { method: 'GET' }],
      ['an administrator', { entrance: 'admin' }],
    ] as const)
      test(`${name} has its line each time`, () => {
        const { logger, lines } = aLogger()
        for (let i = 0; i < 3; i++) logger.callLine({ ...shed, ...other })
        assert.equal(lines.length, 3)
      })
  })

  for (const [name, url, shown] of [
    ['userinfo', 'https://user:canary@host/p', 'https://host/p'],
    ['userinfo without a path', 'https://user:canary@host?x=@y', 'https://host'],
    ['an @ in the path', 'https://host/a@b', 'https://host/a@b'],
    ['no scheme', 'host/p?canary', 'host/p'],
  ] as const)
    test(`a URL with ${name} is shown as ${shown}`, () => {
      const { logger, parsed } = aLogger()
      logger.callLine({ ...CALL, url })
      assert.equal(parsed()[0]?.url, shown)
    })

  test('a fault of our own is an error line', () => {
    const { logger, parsed } = aLogger({ level: 'error' })
    logger.callLine({ ...CALL, error: 'InternalError' })
    logger.callLine(CALL)
    assert.deepEqual(
      parsed().map((line) => [line.level, line.error]),
      [['error', 'InternalError']],
    )
  })

  test('fields that are not on the list are dropped', () => {
    const { logger, lines, parsed } = aLogger()
    logger.log('warn', 'breaker', { adapter: 'github', password: 'canary', Authorization: 'canary', headers: 'canary' })
    assert.ok(!(lines[0] ?? '').includes('canary'))
    assert.equal(parsed()[0]?.adapter, 'github')
    assert.equal(parsed()[0]?.level, 'warn')
    assert.equal(parsed()[0]?.event, 'breaker')
  })

  test('objects passed against the types are dropped too', () => {
    const { logger, lines } = aLogger()
    const fields = { because: new Error('canary'), name: { value: 'canary' } } as unknown as Record<string, string>
    logger.log('error', 'store', fields)
    assert.ok(!(lines[0] ?? '').includes('canary'))
  })

  test('a value cannot forge a line or drive a terminal, plain or pretty', async () => {
    const evil = 'x\n{"level":"fatal"}\r\u001b[2J\u009b1m\u2028y'
    for (const pretty of [null, await loadPretty({ colorize: false })]) {
      const { logger, lines } = aLogger({ pretty })
      logger.callLine({ ...CALL, caller: evil, url: `https://h/${evil}`, method: evil })
      logger.log('info', evil, { because: evil })
      assert.equal(lines.length, 2)
      for (const line of lines) assert.doesNotMatch(line.replaceAll('\n', ''), /[\p{Cc}\u2028]/u)
      assert.ok(!lines.join('').includes('\n{"level":"fatal"}'))
    }
  })

  test('for a person each line is one line too, and says all that there is to say', async () => {
    const { logger, lines } = aLogger({ pretty: await loadPretty({ colorize: false }) })
    const quiet = {
      traceId: null,
      error: null,
      rule: null,
      breaker: null,
      credential: null,
      attempts: 1,
      queuedMs: 0,
      bytesIn: 0,
    }
    logger.callLine({ ...CALL, ...quiet, bytesOut: 0, method: 'GET', url: 'https://h/p?q', status: 200, durationMs: 12.4 })
    logger.callLine({ ...CALL, method: null, url: null, status: null, error: 'RateLimited', rule: 'quota', durationMs: 0.2 })
    logger.log('warn', 'breaker moved', { adapter: 'a', origin: 'https://h', from: 'closed', to: 'open', count: 0 })
    logger.log('info', 'store away', { because: 'it is "gone" now', name: 'n', version: null })
    assert.deepEqual(
      lines.map((line) => line.split('\n').length),
      [2, 2, 2, 2],
    )
    const [well, refused, moved, away] = lines.map((line) => line.replace(/^\[[\d:.]+\] /, '').trimEnd())
    assert.match(
      well ?? '',
      /^INFO: call GET https:\/\/h\/p 200 in 12 ms requestId=\S+ caller=\S+ entrance=requests adapter=\S+ /,
    )
    assert.doesNotMatch(well ?? '', /null|queuedMs|bytes/)
    assert.match(refused ?? '', /^INFO: call - - RateLimited in 0 ms .* rule=quota /)
    assert.equal(moved, 'WARN: breaker moved adapter=a origin=https://h from=closed to=open count=0')
    assert.equal(away, 'INFO: store away because="it is \\"gone\\" now" name=n')
  })

  test('a very long value is cut', () => {
    const { logger, parsed } = aLogger()
    logger.log('info', 'config', { because: 'x'.repeat(100_000) })
    assert.equal(String(parsed()[0]?.because).length, 1025)
  })

  test('the level can be changed while running', () => {
    const { logger, parsed } = aLogger({ level: 'warn' })
    logger.callLine(CALL)
    logger.log('debug', 'early')
    logger.setLevel('debug')
    logger.log('debug', 'late')
    logger.callLine(CALL)
    assert.deepEqual(
      parsed().map((line) => line.event),
      ['late', 'call'],
    )
  })

  test('a flood of one event is cut and counted, other events and calls are not', () => {
    const { logger, parsed } = aLogger()
    for (let i = 0; i < 500; i++) {
      logger.log('warn', 'flapping')
      logger.callLine(CALL)
    }
    logger.log('warn', 'quiet')
    const count = (event: string) => parsed().filter((line) => line.event === event).length
    assert.ok(count('flapping') >= 50 && count('flapping') < 100, `${count('flapping')} lines`)
    assert.equal(count('call'), 500)
    assert.equal(count('quiet'), 1)
  })
})

describe('line limit', () => {
  test('after a flood the next line says how many were left out', () => {
    const limit = createLineLimit(2, 1)
    assert.deepEqual(
      [0, 0, 0, 10, 1100, 1101].map((now) => limit.admit('breaker', now)),
      [{ suppressed: 0 }, { suppressed: 0 }, null, null, { suppressed: 2 }, null],
    )
  })
})
