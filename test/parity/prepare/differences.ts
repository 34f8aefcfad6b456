// Where preparation departs from Requests on purpose, by the name of the case.
import type { ErrorType } from '../../../src/errors/catalogue.ts'

export interface Difference {
  /** We refuse what Requests sends, or refuse it under another name. */
  readonly error?: ErrorType
  /** What we send in place of it; the rest is as theirs. */
  readonly ours?: Readonly<Record<string, unknown>>
}

const refused = (error: ErrorType, ...names: readonly string[]): Record<string, Difference> =>
  Object.fromEntries(names.map((name) => [name, { error }]))

const host = (url: string, ...names: readonly string[]): Record<string, Difference> =>
  Object.fromEntries(names.map((name) => [name, { ours: { url } }]))

export const DIFFERENCES: Readonly<Record<string, Difference>> = {
  // Percent-encoded dot segments are removed too, so that no adapter's prefix and no path rule is got round.
  'percent-encoded dot segments': { ours: { url: 'http://example.com/b', target: '/b' } },
  'a percent-encoded single dot': { ours: { url: 'http://example.com/a/b', target: '/a/b' } },
  'a half-encoded dot segment': { ours: { url: 'http://example.com/b', target: '/b' } },

  // A broken escape in params is no reason to change the password.
  'a false escape in a string of params quotes the login again': { ours: { login: ['us er', 'pass'] } },

  // What is judged must be what is dialled: every address has one spelling, before anybody looks at it.
  ...host('http://127.0.0.1/', 'IPv4 with a trailing dot', 'IPv4 as one number', 'IPv4 in hexadecimal', 'IPv4 in octal'),
  ...host('http://[2001:db8::1]/', 'IPv6 in full'),
  ...host('http://[::ffff:7f00:1]/', 'IPv6 with an IPv4 tail'),
  ...host('http://example.com/', 'a percent-encoded letter in upper case in the host'),
  ...refused('InvalidURL', 'IPv4 out of range', 'five numbers', 'a name that ends in a number'),

  // No host has these. Requests quotes them after parsing and then looks up a name with a percent sign in it.
  ...refused(
    'InvalidURL',
    'a percent-encoded slash in the host',
    'a percent-encoded NUL in the host',
    'a space in the host',
    'a newline in the host',
    'a newline after the host',
    'a tab in the host',
    'a NUL in the host',
    'angle brackets in the host',
    'a quote in the host',
  ),

  // A zone names an interface of one machine, and Requests quotes it until it names none.
  ...refused('InvalidURL', 'IPv6 with a zone', 'IPv6 with a bare zone'),

  // To Requests it is "no host"; the scheme is what is wrong.
  ...refused('InvalidSchema', 'a host called httpbin and a port'),

  // Requests sends bytes that are no UTF-8 in a path and fails on the others with Python's own UnicodeEncodeError.
  ...refused('InvalidURL', 'half a surrogate pair'),
  ...refused('InvalidDescriptor', 'half a surrogate pair in params', 'half a surrogate pair in a form'),

  // Requests reads the byte as U+FFFD and then cannot encode it; we send the byte.
  'a login in latin-1 escapes': {
    ours: {
      url: 'http://example.com/',
      target: '/',
      headers: [
        ['User-Agent', 'default'],
        ['Accept-Encoding', 'gzip, deflate, br, zstd'],
        ['Accept', '*/*'],
      ],
      body: null,
      login: ['user', 'p\u00e4ss'],
    },
  },

  // The descriptor's own JSON text is sent, so that numbers travel as written; Requests writes its own.
  'JSON that is written tightly': { ours: { body: Buffer.from('{"a":1,"n":2.50}').toString('base64') } },

  // A Location is prepared like any other URL; Requests only requotes it, which changes the URL but not what is sent.
  'redirect: an absolute URL without a path': { ours: { url: 'https://other.example/' } },
  'redirect: an absolute URL in upper case': { ours: { url: 'http://other.example/X' } },
  'redirect: a stray percent sign': { ours: { url: 'http://example.com:8080/100%25' } },
  // urllib.parse takes the parameter off, so that an empty one is lost and dots before it become a dot segment.
  'redirect: an empty parameter': { ours: { url: 'http://example.com:8080/d;', target: '/d;' } },
  'redirect: dots with a parameter': { ours: { url: 'http://example.com:8080/x/..;p', target: '/x/..;p' } },
  // Requests looks for the two slashes before the tab is taken out; browsers and we, after.
  'redirect: a tab between two slashes': { ours: { url: 'http://other.example/', target: '/' } },
  // Requests percent-encodes the host's UTF-8 and then looks up a name with percent signs in it.
  'redirect: an IDNA host': { ours: { url: 'http://xn--knig-5qa.de/' } },
  ...refused('InvalidURL', 'redirect: a full-width host'),
  // In urllib.parse an empty authority vanishes when the URL is written again, and the path becomes the host.
  'redirect: four slashes': { ours: { url: 'http://example.com:8080//x', target: '//x' } },
  // Requests goes to evil.example, urllib3's own parser would go to other.example.
  ...refused('InvalidURL', 'redirect: a backslash in the host'),
  // Requests fails later, or with an error of Python's own.
  ...refused(
    'InvalidURL',
    'redirect: another scheme and a path',
    'redirect: latin-1',
    'redirect: a broken port',
    'redirect: an open bracket',
  ),
}
