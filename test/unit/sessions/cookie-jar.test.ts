import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCookieJar, type RecordingJar } from '../../../src/sessions/cookie-jar.ts'
import { JAR_LIMITS } from '../../../src/sessions/jar-limits.ts'
import { aUrl } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const aJar = (clock = createFakeClock(), limits = JAR_LIMITS): RecordingJar => createCookieJar(clock, limits, [])

interface Case {
  readonly from: string
  readonly line: string
  /** URL → the Cookie header expected there. */
  readonly sent: Readonly<Record<string, string | null>>
}

const CASES: Readonly<Record<string, Case>> = {
  'a cookie without Domain goes to its own host alone': {
    from: 'https://api.example.com/',
    line: 'a=1',
    sent: { 'https://api.example.com/x': 'a=1', 'https://b.api.example.com/': null, 'https://example.com/': null },
  },
  'a cookie with Domain goes to subdomains too': {
    from: 'https://api.example.com/',
    line: 'a=1; Domain=example.com',
    sent: { 'https://example.com/': 'a=1', 'https://x.example.com/': 'a=1', 'https://badexample.com/': null },
  },
  'a Domain of somebody else is refused': {
    from: 'https://api.example.com/',
    line: 'a=1; Domain=other.com',
    sent: { 'https://api.example.com/': null, 'https://other.com/': null },
  },
  'a public suffix is refused': {
    from: 'https://shop.co.uk/',
    line: 'a=1; Domain=co.uk',
    sent: { 'https://shop.co.uk/': null, 'https://bank.co.uk/': null },
  },
  'a public suffix that is a private one is refused': {
    from: 'https://ann.github.io/',
    line: 'a=1; Domain=github.io',
    sent: { 'https://ann.github.io/': null, 'https://bob.github.io/': null },
  },
  'a path holds at a boundary': {
    from: 'https://h.example.com/',
    line: 'a=1; Path=/one',
    sent: { 'https://h.example.com/one': 'a=1', 'https://h.example.com/one/b': 'a=1', 'https://h.example.com/onetwo': null },
  },
  'without Path it is the folder of the URL': {
    from: 'https://h.example.com/x/login',
    line: 'a=1',
    sent: { 'https://h.example.com/x/y': 'a=1', 'https://h.example.com/': null },
  },
  'Secure goes over https alone': {
    from: 'https://h.example.com/',
    line: 'a=1; Secure',
    sent: { 'https://h.example.com/': 'a=1', 'http://h.example.com/': null },
  },
  'Secure goes over https alone on localhost too': {
    from: 'https://localhost/',
    line: 'a=1; Secure',
    sent: { 'https://localhost/': 'a=1', 'http://localhost/': null },
  },
  'HttpOnly is no matter to HTTP': {
    from: 'https://h.example.com/',
    line: 'a=1; HttpOnly',
    sent: { 'https://h.example.com/': 'a=1' },
  },
  'ports share cookies': {
    from: 'http://h.example.com:8080/',
    line: 'a=1',
    sent: { 'http://h.example.com:9090/': 'a=1' },
  },
  'an IPv4 host keeps a cookie to itself': {
    from: 'http://127.0.0.1:8080/',
    line: 'a=1; Domain=127.0.0.1',
    sent: { 'http://127.0.0.1/': 'a=1', 'http://127.0.0.2/': null },
  },
  'an IPv6 host keeps a cookie to itself': {
    from: 'http://[::1]:8080/',
    line: 'a=1',
    sent: { 'http://[::1]/': 'a=1', 'http://[::2]/': null },
  },
  'localhost keeps a cookie to itself': {
    from: 'http://localhost/',
    line: 'a=1; Domain=localhost',
    sent: { 'http://localhost/': 'a=1' },
  },
  'the bare name of a container keeps a cookie to itself': {
    from: 'http://upstream/',
    line: 'a=1; Domain=upstream',
    sent: { 'http://upstream/': 'a=1', 'http://x.upstream/': null },
  },
  'an odd line is ignored': { from: 'https://h.example.com/', line: '=;;', sent: { 'https://h.example.com/': null } },
  'a value keeps its quotes and equals signs': {
    from: 'https://h.example.com/',
    line: 'a="b=c"; Path=/',
    sent: { 'https://h.example.com/': 'a="b=c"' },
  },
}

for (const [name, { from, line, sent }] of Object.entries(CASES)) {
  test(`cookies: ${name}`, () => {
    const jar = aJar()
    jar.store(aUrl(from), [line])
    for (const [url, header] of Object.entries(sent)) assert.equal(jar.header(aUrl(url)), header, url)
  })
}

const HERE = aUrl('https://h.example.com/')

test('longer paths come first, then the older cookie', () => {
  const jar = aJar()
  jar.store(HERE, ['a=1; Path=/', 'b=2; Path=/x/y', 'c=3; Path=/x', 'd=4; Path=/'])
  assert.equal(jar.header(aUrl('https://h.example.com/x/y')), 'b=2; c=3; a=1; d=4')
})

test('what was set, replaced, removed or refused is told', () => {
  const jar = aJar()
  assert.deepEqual(jar.store(HERE, ['a=1', 'b=2; Domain=other.com', 'c=3']), [
    ['a', '1'],
    ['c', '3'],
  ])
  assert.deepEqual(jar.store(HERE, ['a=9', 'c=; Max-Age=0', 'd=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT']), [
    ['a', '9'],
    ['c', null],
    ['d', null],
  ])
  assert.equal(jar.header(HERE), 'a=9')
})

for (const line of [
  'a=1; Max-Age=60',
  'a=1; Expires=Thu, 01 Jan 2026 00:01:00 GMT',
  'a=1; Max-Age=60; Expires=Thu, 01 Jan 2099 00:00:00 GMT',
]) {
  test(`"${line}" ends after a minute, however often it is used`, async () => {
    const clock = createFakeClock(Date.UTC(2026, 0, 1))
    const jar = aJar(clock)
    jar.store(HERE, [line])
    await clock.advance(40_000)
    assert.equal(jar.header(HERE), 'a=1')
    await clock.advance(19_999)
    assert.equal(jar.header(HERE), 'a=1')
    await clock.advance(1)
    assert.equal(jar.header(HERE), null)
    assert.deepEqual(jar.serialize(), [])
  })
}

test('a Max-Age beyond what a clock can show means for ever', () => {
  const jar = aJar()
  jar.store(HERE, [`a=1; Max-Age=${'9'.repeat(30)}`])
  assert.equal(createCookieJar(createFakeClock(), JAR_LIMITS, jar.serialize()).header(HERE), 'a=1')
})

test('a jar comes back from its own text with order, scope and expiry', async () => {
  const clock = createFakeClock()
  const jar = aJar(clock)
  jar.store(HERE, ['b=1; Path=/', 'a=2; Path=/; Max-Age=10', 'c=3; Domain=example.com; Path=/; Secure; Unknown=attribute'])
  const stored = JSON.parse(JSON.stringify(jar.serialize()))
  const back = createCookieJar(clock, JAR_LIMITS, stored)
  assert.equal(back.header(HERE), 'b=1; a=2; c=3')
  assert.equal(back.header(aUrl('https://example.com/')), 'c=3')
  assert.equal(back.header(aUrl('http://example.com/')), null)
  assert.deepEqual(back.taken, [])
  await clock.advance(10_000)
  assert.equal(back.header(HERE), 'b=1; c=3')
})

test('a cookie that is too long is ignored', () => {
  const jar = aJar()
  assert.deepEqual(jar.store(HERE, [`a=${'x'.repeat(4096)}`, `b=1; Path=/${'x'.repeat(4096)}`]), [])
})

test('one domain holds so many cookies, the oldest go, and another domain’s are left alone', () => {
  const jar = aJar(createFakeClock(), { ...JAR_LIMITS, perDomain: 2 })
  jar.store(aUrl('https://other.example.com/'), ['o=1'])
  jar.store(HERE, ['a=1', 'b=2', 'c=3'])
  assert.equal(jar.header(HERE), 'b=2; c=3')
  assert.equal(jar.header(aUrl('https://other.example.com/')), 'o=1')
})

for (const [name, limits] of [
  ['so many cookies', { ...JAR_LIMITS, cookies: 3 }],
  ['so many characters', { ...JAR_LIMITS, length: 60 }],
] as const) {
  test(`a jar holds ${name}, the oldest go`, () => {
    const jar = aJar(createFakeClock(), limits)
    for (let i = 0; i < 9; i++) jar.store(aUrl(`https://h${i}.example.com/`), [`a=${i}`])
    assert.ok(jar.serialize().length <= 3)
    assert.equal(jar.header(aUrl('https://h8.example.com/')), 'a=8')
    assert.equal(jar.header(aUrl('https://h0.example.com/')), null)
  })
}

test('no set-cookie line makes it throw, and nothing but header characters gets into a Cookie header', () => {
  const unit = fc.constantFrom(
    'a',
    '=',
    ';',
    ' ',
    '"',
    ',',
    '\r',
    '\n',
    '\0',
    '\x7f',
    '\u0100',
    'é',
    'Domain',
    'Path',
    'Max-Age',
    'Expires',
    '/',
    '.',
    '1',
  )
  fc.assert(
    fc.property(fc.array(fc.string({ unit }), { maxLength: 5 }), (lines) => {
      const jar = aJar()
      jar.store(HERE, lines)
      assert.match(jar.header(HERE) ?? '', /^[\t\x20-\x7e\x80-\xff]*$/)
    }),
  )
})
