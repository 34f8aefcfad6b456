// Every reader of text that strangers send, given text made to take long: long runs of whatever its patterns repeat. What takes
// more than time in proportion would block every other call.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskUrl } from '../../src/audit/audit-record.ts'
import { createCallers } from '../../src/callers/callers.ts'
import { parseChallenges, parseParams } from '../../src/credentials/challenge.ts'
import { cookieNameFault, headerNameFault, headerValueFault } from '../../src/descriptor/header-rules.ts'
import { decodeText } from '../../src/envelope/charset.ts'
import { linksJson } from '../../src/envelope/links.ts'
import { parseMediaType } from '../../src/envelope/media-type.ts'
import { GatewayError } from '../../src/errors/gateway-error.ts'
import { withQueryPair } from '../../src/model/outgoing-view.ts'
import { parseDuration, parseSize } from '../../src/model/units.ts'
import { canonicalAddress } from '../../src/policy/address-rules.ts'
import { findDisguise } from '../../src/policy/egress-rule.ts'
import { matchesGlob } from '../../src/policy/path-glob.ts'
import { parseRetryAfter } from '../../src/policy/retry-after.ts'
import { resolveLocation } from '../../src/prepare/resolve-location.ts'
import { prepareUrl } from '../../src/prepare/url.ts'
import { judgeHead, judgeJsonHead, judgeLocal } from '../../src/server/door.ts'
import { createRequestIds } from '../../src/server/request-id.ts'
import { createCookieJar } from '../../src/sessions/cookie-jar.ts'
import { JAR_LIMITS } from '../../src/sessions/jar-limits.ts'
import { aUrl } from '../support/builders.ts'

const base = prepareUrl('http://h.example/a/b', undefined).url
const callers = createCallers([{ name: 'a', admin: false, may: [], keys: [{ sha256: Buffer.alloc(32) }] }])
const requestId = createRequestIds()

const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  'Host, Origin': (text) => [judgeHead({ host: text, origin: `http://${text}` }, '1.1'), judgeLocal(text, text)],
  'Content-Type of a caller': (text) => judgeJsonHead({ 'content-type': text }, 1),
  'X-Request-Id': (text) => requestId(text),
  'a key': (text) => [
    callers.identify({ headers: { authorization: text }, socket: null }),
    callers.isKey(text),
    callers.isKey(`Basic ${text}`),
  ],
  'a header of a descriptor': (text) => [headerNameFault(text), headerValueFault(text), cookieNameFault(text)],
  'a duration, a size': (text) => [parseDuration(text), parseSize(text)],
  'a URL': (text) => prepareUrl(text, undefined),
  'a host': (text) => prepareUrl(`http://${text}/`, undefined),
  'a path': (text) => prepareUrl(`http://h/${text}`, undefined),
  'a query': (text) => prepareUrl(`http://h/?${text}`, text),
  'a path under rules': (text) => [findDisguise(`/${text}`), matchesGlob('/*a*/**b/*', `/${text}`)],
  'a URL with a credential in its query': (text) => withQueryPair({ ...aUrl('http://h/'), target: `/?${text}` }, 'name', 'v'),
  'a URL in the audit trail': (text) => maskUrl(`http://${text}?${text}`),
  'an address': (text) => canonicalAddress(text),
  'Content-Type of an upstream': (text) => parseMediaType(text),
  'a charset': (text) => decodeText(Buffer.from('a'), text),
  'WWW-Authenticate': (text) => [parseChallenges(text), parseParams(text)],
  Link: (text) => linksJson(text),
  'Retry-After': (text) => parseRetryAfter(text, 0),
  Location: (text) => resolveLocation(base, text),
  'Set-Cookie': (text) =>
    createCookieJar({ date: () => 0 }, JAR_LIMITS, []).store(base, [text, `a=b; ${text}`, `a=b; Expires=${text}`]),
}

const BEFORE = ['', 'a="', 'application/json;', 'text/html; charset=a']
const RUNS = [
  ...[' ', '\t', ',', ';', '"', "'", '=', '<', '\\', '\\"', '%', '%25', '%2e', '/', '.', '/..', ':', '@', '[', '&', '*', '-'],
  ...['a', 'a=', 'a="', 'a b', '0.', '\xe9', ', <'],
]
const BEHIND = ['', '!']
/** Beyond what a head can hold; what takes time with the square of it takes most of a second. */
const LENGTH = 25_000
const LONG_MS = 400

for (const [name, read] of Object.entries(READERS)) {
  test(`${name} is read in time that grows with its length alone`, () => {
    for (const run of RUNS) {
      const filling = run.repeat(LENGTH / run.length)
      for (const before of BEFORE) {
        for (const behind of BEHIND) {
          const from = performance.now()
          try {
            read(before + filling + behind)
          } catch (error) {
            if (!(error instanceof GatewayError)) throw error
          }
          const took = performance.now() - from
          assert.ok(took < LONG_MS, `${JSON.stringify(`${before}${run}…${behind}`)} took ${took.toFixed(0)} ms`)
        }
      }
    }
  })
}
