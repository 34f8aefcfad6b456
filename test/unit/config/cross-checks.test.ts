// Combinations of keys, each right for itself, that are refused or deserve a look.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { certificates } from '../../support/certificates.ts'
import { faultsOf, load } from './support.ts'

const KEY = 'k'.repeat(32)

/** One adapter on https://a.example/, with these further keys on its one line. */
const adapter = (keys: string, mount = 'https://a.example/'): string =>
  `adapters: [{ name: a, mount: "${mount}"${keys && `, ${keys}`} }]\n`

const jwt = (claims = '', jwksUri = 'https://issuer.example/jwks'): string =>
  `jwt: { issuer: "https://issuer.example", audience: sallyport, jwksUri: "${jwksUri}", claims: { ${claims} } }`

/** The listener's own TLS, from the files below. */
const TLS = (keys: string): string => `listen: { tls: { cert: cert.pem, key: key.pem, ${keys} } }\n`
const PEMS = { 'cert.pem': certificates().good.cert, 'key.pem': certificates().good.key, 'ca.pem': certificates().ca }

interface Refused {
  readonly name: string
  readonly yaml: string
  /** The key that is pointed at. */
  readonly key: string
  readonly message: RegExp
}

const REFUSED: readonly Refused[] = [
  {
    name: 'no callers on an address that others reach',
    yaml: `listen: { host: 0.0.0.0 }\n${adapter('')}`,
    key: 'listen.host',
    message: /0\.0\.0\.0.*no callers are configured; add callers, or listen on 127\.0\.0\.1/,
  },
  {
    name: 'no callers on a name that only begins like loopback',
    yaml: `listen: { host: 127.0.0.1.example }\n${adapter('')}`,
    key: 'listen.host',
    message: /no callers are configured/,
  },
  {
    name: 'metrics on the listener of the gateway',
    yaml: `metrics: { listen: { port: 8080 } }\n${adapter('')}`,
    key: 'metrics.listen.port',
    message: /same as listen\.port/,
  },
  {
    name: 'a key beside a key file',
    yaml: `store: { key: "k1:AAAA", keyFile: ./sallyport.yaml }\n${adapter('')}`,
    key: 'store.key',
    message: /keep one of the two/,
  },
  {
    name: 'a key file that cannot be read',
    yaml: `store: { keyFile: ./none.key }\n${adapter('')}`,
    key: 'store.keyFile',
    message: /none\.key cannot be read: it does not exist/,
  },
  {
    name: 'two callers of one name',
    yaml: `callers: [{ name: x, keys: ["${KEY}1"] }, { name: x, keys: ["${KEY}2"] }]\n${adapter('')}`,
    key: 'callers[1].name',
    message: /also the name of callers\[0\]/,
  },
  {
    name: 'one key for two callers',
    yaml: `callers: [{ name: x, keys: ["${KEY}"] }, { name: y, keys: ["${KEY}"] }]\n${adapter('')}`,
    key: 'callers[1].keys[0]',
    message: /already a key of x/,
  },
  {
    name: 'certificates of callers that are never asked for',
    yaml: `callers: [{ name: x, certificates: [{ san: "spiffe://a/b" }] }]\n${adapter('')}`,
    key: 'callers[0].certificates[0]',
    message: /never seen: no client certificate is asked for; name their authorities in listen\.tls\.clientCa/,
  },
  {
    name: 'client certificates required of nobody',
    yaml: `${TLS('requireClientCert: true')}${adapter('')}`,
    key: 'listen.tls.requireClientCert',
    message: /needs authorities.*listen\.tls\.clientCa/,
  },
  {
    name: 'a certificate with two names',
    yaml: `${TLS('clientCa: ca.pem')}callers: [{ name: x, certificates: [{ san: a, subject: CN=a }] }]\n${adapter('')}`,
    key: 'callers[0].certificates[0]',
    message: /must have one of san, subject .* and sha256/,
  },
  {
    name: 'a subject that is none',
    yaml: `${TLS('clientCa: ca.pem')}callers: [{ name: x, certificates: [{ subject: api }] }]\n${adapter('')}`,
    key: 'callers[0].certificates[0]',
    message: /must have one of/,
  },
  {
    name: 'one certificate for two callers, written in two ways',
    yaml: `${TLS('clientCa: ca.pem')}callers: [{ name: x, certificates: [{ subject: "CN=a,O=b" }] }, { name: y, certificates: [{ subject: "O=b, CN=a" }] }]\n${adapter('')}`,
    key: 'callers[1].certificates[0]',
    message: /already one of x; a certificate belongs to one caller/,
  },
  {
    name: 'a certificate file that is not there',
    yaml: `${TLS('').replace('cert.pem', 'none.pem')}${adapter('')}`,
    key: 'listen.tls.cert',
    message: /none\.pem cannot be read: it does not exist/,
  },
  {
    name: 'a key that is none',
    yaml: `${TLS('').replace('key.pem', 'cert.pem')}${adapter('')}`,
    key: 'listen.tls.key',
    message: /holds no private key without a passphrase/,
  },
  {
    name: 'the key of another certificate',
    yaml: `${TLS('').replace('cert.pem', 'ca.pem')}${adapter('')}`,
    key: 'listen.tls.key',
    message: /is not the private key of the first certificate in listen\.tls\.cert/,
  },
  ...(
    [
      ['a burst without a rate', '{ burst: 5 }', 'quota.burst', /there is none here/],
      ['a burst above its rate', '{ rate: 5/s, burst: 6 }', 'quota.burst', /at most the rate's own 5/],
      ['a quota that limits nothing', '{}', 'quota', /limits nothing/],
    ] as const
  ).map(([name, quota, key, message]) => ({
    ...{ name, message, key: `callers[0].${key}` },
    yaml: `callers: [{ name: x, keys: ["${KEY}"], quota: ${quota} }]\n${adapter('')}`,
  })),
  {
    name: 'an issuer under no adapter',
    yaml: `callers: [{ name: x, ${jwt()} }]\n${adapter('')}`,
    key: 'callers[0].jwt.jwksUri',
    message: /is under no adapter, .*mount one there/,
  },
  {
    name: "an issuer's keys over plain http",
    yaml: `callers: [{ name: x, ${jwt('', 'http://a.example/jwks')} }]\n${adapter('', 'http://a.example/')}`,
    key: 'callers[0].jwt.jwksUri',
    message: /plain http.*allowPlaintextSecrets: true in adapter a/,
  },
  {
    name: "an issuer's keys from a server that is not verified",
    yaml: `callers: [{ name: x, ${jwt('', 'https://a.example/jwks')} }]\n${adapter('tls: { verify: false }')}`,
    key: 'callers[0].jwt.jwksUri',
    message: /not verified; name a CA bundle in tls\.ca of adapter a/,
  },
  {
    name: 'two sets of keys for one issuer',
    yaml: `callers: [{ name: x, ${jwt('sub: x', 'https://a.example/1')} }, { name: y, ${jwt('sub: y', 'https://a.example/2')} }]\n${adapter('')}`,
    key: 'callers[1].jwt.jwksUri',
    message: /another than that of x, whose issuer is the same/,
  },
  {
    name: 'a login in the URL of the keys',
    yaml: `callers: [{ name: x, ${jwt('', 'https://u:p@a.example/jwks')} }]\n${adapter('')}`,
    key: 'callers[0].jwt.jwksUri',
    message: /must be the URL of a JWKS document/,
  },
  ...(
    [
      ['two callers of whom each token is', '', ''],
      ['a caller whose tokens are all those of another too', 'sub: "team:*"', 'sub: "team:api"'],
      ['a caller with fewer claims than another', 'sub: x', 'sub: x, env: prod'],
    ] as const
  ).map(([name, first, second]) => ({
    name,
    yaml: `callers: [{ name: x, ${jwt(first, 'https://a.example/k')} }, { name: y, ${jwt(second, 'https://a.example/k')} }]\n${adapter('')}`,
    key: 'callers[1].jwt',
    message: /cannot be told from that of x: a token can be of both/,
  })),
  {
    name: 'a grant for an adapter that is not there',
    yaml: `callers: [{ name: x, keys: ["${KEY}"], may: [{ adapter: githbu }] }]\nadapters: [{ name: github, mount: "https://a.example/" }]\n`,
    key: 'callers[0].may[0].adapter',
    message: /names githbu, which is no adapter; did you mean github\?/,
  },
  {
    name: 'a CA bundle that is not there',
    yaml: adapter('tls: { ca: corp }'),
    key: 'adapters[0].tls.ca',
    message: /names corp, which is no bundle in caBundles; there is none/,
  },
  {
    name: 'a CA bundle of `defaults` that is not there, said once',
    yaml: `defaults: { tls: { ca: corp } }\n${adapter('')}`,
    key: 'defaults.tls.ca',
    message: /names corp/,
  },
  {
    name: 'a CA bundle with a name that is none',
    yaml: `caBundles: { "a b": ./sallyport.yaml }\n${adapter('')}`,
    key: 'caBundles["a b"]',
    message: /no name|no certificate/,
  },
  {
    name: 'two adapters of one name',
    yaml: 'adapters: [{ name: a, mount: "https://a/" }, { name: a, mount: "https://b/" }]\n',
    key: 'adapters[1].name',
    message: /which another adapter has/,
  },
  {
    name: 'two adapters on one mount, however it is written',
    yaml: 'adapters: [{ name: a, mount: "https://h.example" }, { name: b, mount: "HTTPS://H.EXAMPLE:443/" }]\n',
    key: 'adapters[1].mount',
    message: /is the mount of a too/,
  },
  {
    name: 'two catch-alls of one scheme',
    yaml: 'adapters: [{ name: a, mount: "https://" }, { name: b, mount: "HTTPS://" }]\n',
    key: 'adapters[1].mount',
    message: /is the mount of a too/,
  },
  {
    name: 'a secret over plain http',
    yaml: adapter('credentials: s', 'http://a.example/'),
    key: 'adapters[0].credentials',
    message: /allowPlaintextSecrets: true/,
  },
  {
    name: 'a secret over the plain http catch-all',
    yaml: adapter('credentials: s', 'http://'),
    key: 'adapters[0].credentials',
    message: /allowPlaintextSecrets: true/,
  },
  {
    name: 'a secret to whoever answers',
    yaml: adapter('credentials: s, tls: { verify: false }'),
    key: 'adapters[0].tls.verify',
    message: /tls\.allowInsecureSecrets: true/,
  },
  {
    name: 'a client certificate over plain http',
    yaml: adapter('tls: { cert: c }', 'http://a.example/'),
    key: 'adapters[0].tls.cert',
    message: /needs TLS/,
  },
  {
    name: 'a timeout over its ceiling',
    yaml: adapter('timeout: { total: 3m }'),
    key: 'adapters[0].timeout.total',
    message: /180000 ms, over ceilings\.timeout\.total, which is 120000 ms/,
  },
  {
    name: 'a read clock over its ceiling',
    yaml: `ceilings: { timeout: { read: 20s } }\n${adapter('timeout: { read: 21s }')}`,
    key: 'adapters[0].timeout.read',
    message: /over ceilings\.timeout\.read/,
  },
  {
    name: 'retries over their ceiling',
    yaml: adapter('retry: { total: 6 }'),
    key: 'adapters[0].retry.total',
    message: /is 6, over ceilings\.maxRetries, which is 5/,
  },
  {
    name: 'a response size over its ceiling',
    yaml: adapter('responseSize: 65MiB'),
    key: 'adapters[0].responseSize',
    message: /over ceilings\.responseSize/,
  },
  {
    name: 'a default over its ceiling',
    yaml: `defaults: { timeout: { total: 3m } }\n${adapter('')}`,
    key: 'defaults.timeout.total',
    message: /over ceilings\.timeout\.total/,
  },
  {
    name: 'a ceiling below a built-in default',
    yaml: `ceilings: { timeout: { total: 20s } }\n${adapter('')}`,
    key: 'defaults.timeout.total',
    message: /is 30000 ms, over ceilings/,
  },
  {
    name: 'a ceiling that the total clock makes idle',
    yaml: `ceilings: { timeout: { read: 5m } }\n${adapter('')}`,
    key: 'ceilings.timeout.read',
    message: /ends every call after 120000 ms/,
  },
  {
    name: 'more calls than connections',
    yaml: adapter('limits: { concurrency: 101 }'),
    key: 'adapters[0].limits.concurrency',
    message: /is 101 and pool\.connections 100/,
  },
  {
    name: 'fewer connections than the calls of `defaults`',
    yaml: `defaults: { limits: { concurrency: 50 } }\n${adapter('pool: { connections: 10 }')}`,
    key: 'adapters[0].pool',
    message: /is 50 and pool\.connections 10/,
  },
  {
    name: 'more calls than connections in `defaults`, said once',
    yaml: `defaults: { limits: { concurrency: 101 } }\n${adapter('')}`,
    key: 'defaults.limits.concurrency',
    message: /is 101/,
  },
  {
    name: 'a burst without a rate',
    yaml: adapter('limits: { burst: 5 }'),
    key: 'adapters[0].limits.burst',
    message: /there is none here/,
  },
  {
    name: 'a burst above its rate',
    yaml: adapter('limits: { rate: 5/s, burst: 6 }'),
    key: 'adapters[0].limits.burst',
    message: /at most the rate's own 5/,
  },
  {
    name: 'whose a rate is, without a rate',
    yaml: adapter('limits: { rateBy: caller }'),
    key: 'adapters[0].limits.rateBy',
    message: /there is none here; write limits\.rate too/,
  },
  {
    name: 'whose a rate is, where the rate of `defaults` is off',
    yaml: `defaults: { limits: { rate: 5/s } }\n${adapter('limits: { rate: off, rateBy: credential }')}`,
    key: 'adapters[0].limits.rateBy',
    message: /there is none here/,
  },
  {
    name: 'a metadata service among allowed addresses',
    yaml: adapter('egress: { allow: [10.0.0.0/8, 169.254.169.254] }'),
    key: 'adapters[0].egress.allow[1]',
    message: /egress\.allowMetadata/,
  },
  {
    name: 'a DNS server by name',
    yaml: `dns: { servers: ["dns.internal:53"] }\n${adapter('')}`,
    key: 'dns.servers[0]',
    message: /must be an IP address/,
  },
  {
    name: 'a proxy with a login in its URL',
    yaml: adapter('proxy: { url: "http://me:pw@p.example" }'),
    key: 'adapters[0].proxy.url',
    message: /a login is a secret named in credentials/,
  },
]

/** Of the places that an adapter gives the values of its secret. */
const PLACES: readonly (readonly [places: string, key: string, message: RegExp])[] = [
  ['', 'credentials', /does not say where the values of s go/],
  ['path: "bot{k}/**"', 'credentials.path', /must be a path such as/],
  ['path: "/bot{k}?x"', 'credentials.path', /must be a path such as/],
  ['path: "/bot/**"', 'credentials.path', /must name a value of the secret in braces/],
  ['path: "/bot{k/**"', 'credentials.path', /write "{{" for a brace/],
  ['path: "/{k}/**/**"', 'credentials.path', /may hold one \*\*/],
  ['path: "/{k}/a*"', 'credentials.path', /no other \*/],
  ['path: "/{k}/../**"', 'credentials.path', /dot segments/],
  ['path: "/{k}/a%2fb"', 'credentials.path', /encoded slashes/],
  ['path: [1]', 'credentials.path', /must be text/],
  ['headers: { Host: "{k}" }', 'credentials.headers.Host', /is not a name/],
  ['headers: { X-K: "k" }', 'credentials.headers.X-K', /must name a value/],
  ['body: { key: "{k}" }', 'credentials.body.key', /must be a JSON pointer/],
  ['body: { /a~2: "{k}" }', 'credentials.body["/a~2"]', /must be a JSON pointer/],
  ['body: { "": "{k}" }', 'credentials.body[""]', /must be a JSON pointer/],
  ['query: { q: 1 }', 'credentials.query.q', /must be text; put it in quotes/],
  ['pth: "/{k}"', 'credentials.pth', /did you mean path/],
]

describe('places of a secret that are refused', () => {
  for (const [places, key, message] of PLACES) {
    test(places || 'none', async () => {
      const faults = await faultsOf(adapter(`credentials: { secret: s${places && `, ${places}`} }`))
      assert.equal(faults.length, 1, faults.join('\n'))
      assert.equal(faults[0]?.split(' ')[1], `adapters[0].${key}`)
      assert.match(faults[0] ?? '', message)
    })
  }

  test('a path that leads out of the mount', async () => {
    const faults = await faultsOf(adapter('credentials: { secret: s, path: "/v2/{k}/**" }', 'https://a.example/v1'))
    assert.match(faults.join(), /adapters\[0\]\.credentials\.path leads out of the mount; begin it with \/v1$/)
  })
})

describe('refused', () => {
  for (const { name, yaml, key, message } of REFUSED) {
    test(name, async () => {
      const faults = await faultsOf(yaml, {}, PEMS)
      assert.match(faults[0] ?? '', message)
      assert.equal(
        faults[0]
          ?.split(' ')
          .slice(1, 1 + key.split(' ').length)
          .join(' '),
        key,
      )
      assert.equal(faults.length, name.includes('name that is none') ? 2 : 1, faults.join('\n'))
      assert.doesNotMatch(faults.join(), /pw@|:pw|kkkk/)
    })
  }

  test('a built-in value over its ceiling is placed at the ceiling, the one that is written', async () => {
    assert.match(
      (await faultsOf(`\n\nceilings: { maxRetries: 1 }\n${adapter('')}`)).join(),
      /^sallyport\.yaml:3:25 defaults\.retry\.total is 2/,
    )
  })
})

describe('accepted without a word', () => {
  const accepted: [name: string, yaml: string][] = [
    ['loopback without callers', `listen: { host: 127.8.9.1 }\n${adapter('')}`],
    ['::1 and localhost without callers', `listen: { host: "::1" }\n${adapter('')}`],
    ['any address with a caller', `listen: { host: 0.0.0.0 }\ncallers: [{ name: x, keys: ["${KEY}"] }]\n${adapter('')}`],
    ['a secret over http where the adapter says so', adapter('credentials: s, allowPlaintextSecrets: true', 'http://a.example/')],
    [
      'two mounts on one host',
      'adapters: [{ name: a, mount: "https://h/" }, { name: b, mount: "https://h/x" }, { name: c, mount: "https://h/x/" }]\n',
    ],
    ['one host on two ports', 'adapters: [{ name: a, mount: "https://h/" }, { name: b, mount: "https://h:8443/" }]\n'],
    [
      'whose the rate of `defaults` is',
      `defaults: { limits: { rate: 5/s, rateBy: credential } }\n${adapter('limits: { rateBy: caller }')}`,
    ],
    ['whose a rate would be, in `defaults`', `defaults: { limits: { rateBy: caller } }\n${adapter('')}`],
    ['more calls than connections with HTTP/2', adapter('limits: { concurrency: 500 }, pool: { connections: 2, http2: true }')],
    ['no retries under a ceiling of none', `ceilings: { maxRetries: 0 }\ndefaults: { retry: off }\n${adapter('')}`],
    ['private addresses', adapter('egress: { allow: [10.0.0.0/8, "fd12::/16"] }')],
    ['a key in the path', adapter('credentials: { secret: s, path: "/v1/{k}/**" }', 'https://a.example/v1')],
    ['a key in the body', adapter('credentials: { secret: s, body: { /a/b~1c: "{k}{{" } }')],
    ['a metadata address on its own line', adapter('egress: { allowMetadata: [169.254.169.254] }')],
  ]
  for (const [name, yaml] of accepted) {
    test(name, async () => assert.deepEqual((await load(yaml)).warnings, []))
  }
})

describe('warned of', () => {
  const warned: [name: string, yaml: string, warning: RegExp][] = [
    ['a short key', `callers: [{ name: x, keys: ["short"] }]\n${adapter('')}`, /callers\[0\]\.keys\[0\] is shorter than 16/],
    [
      'a caller that nobody can be by the file alone',
      `callers: [{ name: x }]\n${adapter('')}`,
      /callers\[0\] \(x\) has nothing here to be known by.*sallyport callers create x/,
    ],
    [
      'a policy that is only observed',
      `callers: [{ name: x, keys: ["${KEY}"], observe: true }]\n${adapter('')}`,
      /observe is on: may and quota refuse x nothing, every adapter is open to it/,
    ],
    ['no adapters', 'adapters: []\n', /adapters is empty: every call will be EgressDenied/],
    [
      'metrics for everyone',
      `metrics: { listen: { host: 0.0.0.0, port: 9090 } }\n${adapter('')}`,
      /metrics\.listen\.host is 0\.0\.0\.0/,
    ],
    ['a range with metadata in it', adapter('egress: { allow: [169.254.0.0/16] }'), /covers 169\.254\.169\.0\/24.*stay refused/],
    ['names resolved elsewhere', adapter('proxy: { url: "http://p.example", resolve: remote }'), /proxy's own rules/],
    ['certificates that are not checked', adapter('tls: { verify: off }'), /accepts any certificate/],
    [
      'a read clock behind the total',
      adapter('timeout: { read: 20s, total: 10s }'),
      /timeout\.read is longer than timeout\.total/,
    ],
    ['a credential in a header', adapter('headers: { Authorization: "Bearer abc" }'), /looks like a credential in plain text/],
  ]
  for (const [name, yaml, warning] of warned) {
    test(name, async () => {
      const { warnings } = await load(yaml)
      assert.equal(warnings.length, 1)
      assert.match(warnings[0] ?? '', warning)
      assert.match(warnings[0] ?? '', /sallyport\.yaml:\d+:\d+ /)
      assert.doesNotMatch(warnings[0] ?? '', /short"|abc/)
    })
  }
})
