// Calls over all of httpbin's families, in the descriptor's words with the URL's path alone. test/parity/httpbin makes each
// through the gateway and with Python's Requests and compares what came back.

export interface Ask {
  readonly url: string
  readonly method?: string
  readonly params?: unknown
  readonly headers?: Record<string, string>
  readonly data?: unknown
  readonly json?: unknown
  readonly content?: string
  readonly files?: Record<string, { text: string; filename?: string; contentType?: string }>
  readonly cookies?: Record<string, string>
  readonly auth?: { type: 'basic' | 'digest'; username: string; password: string }
  readonly allowRedirects?: boolean
  readonly maxRedirects?: number
}

export interface Case {
  readonly name: string
  readonly ask: Ask
}

const named = (prefix: string, asks: Record<string, Ask>): Case[] =>
  Object.entries(asks).map(([name, ask]) => ({ name: `${prefix}: ${name}`, ask }))

const METHODS: Case[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].flatMap((method) => [
  { name: `methods: ${method}`, ask: { url: `/${method.toLowerCase()}`, method } },
  { name: `methods: ${method} on /anything`, ask: { url: '/anything/a/b', method, params: { q: '1' } } },
])

const PARAMS = named('params', {
  'an object': { url: '/get', params: { a: '1', b: 'two' } },
  'a list repeats the key': { url: '/get', params: { a: ['1', '2', '3'] } },
  'null is dropped': { url: '/get', params: { a: null, b: '1' } },
  'pairs keep their order': {
    url: '/get',
    params: [
      ['z', '1'],
      ['a', '2'],
      ['z', '3'],
    ],
  },
  'appended to the URL own query': { url: '/get?x=1', params: { y: '2' } },
  'a string': { url: '/get', params: 'a=1&b=2%20c' },
  'spaces and pluses': { url: '/get', params: { q: 'a b+c' } },
  unicode: { url: '/get', params: { ключ: 'значение', 日本: '語' } },
  'reserved characters': { url: '/get', params: { q: '&=?#/:;@' } },
  'an empty value': { url: '/get', params: { a: '', b: '' } },
  'whole numbers': { url: '/get', params: { n: 5, big: 9007199254740991 } },
  'percent signs': { url: '/get', params: { q: '100%', r: '%41' } },
  'an empty object': { url: '/get', params: {} },
})

const URLS = named('urls', {
  'a fragment is not sent': { url: '/get?a=1#frag' },
  'unicode in the path': { url: '/anything/naïve/路径' },
  'a space in the path': { url: '/anything/a b' },
  'quoted parts are kept': { url: '/anything/a%20b%2Fc' },
  'a lone percent': { url: '/anything/100%' },
  'dot segments': { url: '/anything/a/../b/./c' },
  'repeated slashes': { url: '/anything//a//b' },
  'illegal characters are quoted': { url: '/anything/<a>"b"{c}|d|^e`f' },
  'a query without a value': { url: '/get?flag&a=' },
  'brackets in the query': { url: '/get?a[]=1&a[]=2' },
})

const HEADERS = named('headers', {
  'as given': { url: '/headers', headers: { 'X-One': '1', 'x-two': 'Two' } },
  'replacing a default': { url: '/headers', headers: { Accept: 'text/plain' } },
  'an empty value': { url: '/headers', headers: { 'X-Empty': '' } },
  'a user agent': { url: '/user-agent', headers: { 'User-Agent': 'parity/2' } },
  'a long one': { url: '/headers', headers: { 'X-Long': 'v'.repeat(4000) } },
  'response headers': { url: '/response-headers', params: { 'X-Answer': 'yes', 'Content-Language': 'de' } },
  'a response header twice': {
    url: '/response-headers',
    params: [
      ['X-Twice', 'a'],
      ['X-Twice', 'b'],
    ],
  },
  cache: { url: '/cache' },
  'cache revalidated': { url: '/cache', headers: { 'If-Modified-Since': 'Thu, 01 Jan 2026 00:00:00 GMT' } },
  'cache for seconds': { url: '/cache/60' },
  'etag matches': { url: '/etag/abc', headers: { 'If-None-Match': 'abc' } },
  'etag does not match': { url: '/etag/abc', headers: { 'If-Match': 'other' } },
})

const BODIES = named('bodies', {
  'json object': { url: '/post', method: 'POST', json: { a: 1, b: [true, null, 'ü'], c: { d: 1.5 } } },
  'json list': { url: '/post', method: 'POST', json: [1, 2, 3] },
  'json string': { url: '/post', method: 'POST', json: 'text' },
  'json false': { url: '/post', method: 'POST', json: false },
  'json zero': { url: '/post', method: 'POST', json: 0 },
  'json with its own content type': {
    url: '/post',
    method: 'POST',
    json: { a: 1 },
    headers: { 'Content-Type': 'application/vnd.x+json' },
  },
  form: { url: '/post', method: 'POST', data: { a: '1', b: 'x y&z=ü' } },
  'form lists': { url: '/post', method: 'POST', data: { a: ['1', '2'], b: '3' } },
  'form pairs': {
    url: '/post',
    method: 'POST',
    data: [
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
    ],
  },
  'form empty value': { url: '/post', method: 'POST', data: { a: '' } },
  'a string': { url: '/post', method: 'POST', data: 'plain text ü' },
  'a string with a content type': { url: '/post', method: 'POST', data: '<a/>', headers: { 'Content-Type': 'application/xml' } },
  'raw bytes': { url: '/post', method: 'POST', content: Buffer.from([0, 1, 2, 253, 254, 255]).toString('base64') },
  'an empty post': { url: '/post', method: 'POST' },
  'put json': { url: '/put', method: 'PUT', json: { put: true } },
  'patch form': { url: '/patch', method: 'PATCH', data: { p: '1' } },
  'delete with a body': { url: '/delete', method: 'DELETE', json: { why: 'test' } },
  'one file': {
    url: '/post',
    method: 'POST',
    files: { file: { text: 'content', filename: 'a.txt', contentType: 'text/plain' } },
  },
  'a file without a type': { url: '/post', method: 'POST', files: { file: { text: 'content', filename: 'a.bin' } } },
  'a file named by its field': { url: '/post', method: 'POST', files: { report: { text: 'content' } } },
  'files and fields': {
    url: '/post',
    method: 'POST',
    data: { a: '1', b: ['2', '3'] },
    files: { f: { text: 'x', filename: 'x.csv', contentType: 'text/csv' }, g: { text: 'y', filename: 'y' } },
  },
  'a file with an odd name': { url: '/post', method: 'POST', files: { file: { text: 'x', filename: 'ä "q" \\ b.txt' } } },
})

const STATUSES: Case[] = [
  200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 409, 410, 418, 422, 429, 500, 501, 502, 503, 504,
].map((status) => ({
  name: `status: ${status}`,
  ask: { url: `/status/${status}` },
}))

const AUTH = named('auth', {
  basic: { url: '/basic-auth/user/passwd', auth: { type: 'basic', username: 'user', password: 'passwd' } },
  'basic, wrong': { url: '/basic-auth/user/passwd', auth: { type: 'basic', username: 'user', password: 'no' } },
  'basic, hidden': { url: '/hidden-basic-auth/user/passwd', auth: { type: 'basic', username: 'user', password: 'passwd' } },
  'basic, none given': { url: '/basic-auth/user/passwd' },
  bearer: { url: '/bearer', headers: { Authorization: 'Bearer abc.def' } },
  'bearer missing': { url: '/bearer' },
  'digest auth': { url: '/digest-auth/auth/user/passwd', auth: { type: 'digest', username: 'user', password: 'passwd' } },
  'digest auth MD5': { url: '/digest-auth/auth/user/passwd/MD5', auth: { type: 'digest', username: 'user', password: 'passwd' } },
  'digest auth SHA-256': {
    url: '/digest-auth/auth/user/passwd/SHA-256',
    auth: { type: 'digest', username: 'user', password: 'passwd' },
  },
  'digest auth SHA-512': {
    url: '/digest-auth/auth/user/passwd/SHA-512',
    auth: { type: 'digest', username: 'user', password: 'passwd' },
  },
  'digest, wrong': { url: '/digest-auth/auth/user/passwd', auth: { type: 'digest', username: 'user', password: 'no' } },
  'digest, none given': { url: '/digest-auth/auth/user/passwd' },
})

const REDIRECTS = named('redirects', {
  one: { url: '/redirect/1' },
  five: { url: '/redirect/5' },
  relative: { url: '/relative-redirect/3' },
  absolute: { url: '/absolute-redirect/3' },
  'not followed': { url: '/redirect/2', allowRedirects: false },
  'a HEAD is not followed': { url: '/redirect/1', method: 'HEAD' },
  'a HEAD followed': { url: '/redirect/1', method: 'HEAD', allowRedirects: true },
  'too many': { url: '/redirect/6', maxRedirects: 3 },
  '301 of a POST becomes GET': { url: '/redirect-to?url=/get&status_code=301', method: 'POST', data: { a: '1' } },
  '302 of a POST becomes GET': { url: '/redirect-to?url=/get&status_code=302', method: 'POST', json: { a: 1 } },
  '303 of a PUT becomes GET': { url: '/redirect-to?url=/get&status_code=303', method: 'PUT', data: 'x' },
  '307 keeps the method and the body': { url: '/redirect-to?url=/post&status_code=307', method: 'POST', json: { kept: true } },
  '308 keeps the method and the body': { url: '/redirect-to?url=/put&status_code=308', method: 'PUT', data: { kept: '1' } },
  'the fragment is kept': { url: '/redirect/1#part' },
  'to a path with unicode': { url: '/redirect-to', params: { url: '/anything/ü b' } },
})

const COOKIES = named('cookies', {
  'sent as given': { url: '/cookies', cookies: { a: '1', b: 'two' } },
  'set on a redirect and sent after it': { url: '/cookies/set', params: { k: 'v' } },
  'several set': { url: '/cookies/set', params: { k1: 'v1', k2: 'v2' } },
  'set on a redirect that is not followed': { url: '/cookies/set', params: { k: 'v' }, allowRedirects: false },
  deleted: { url: '/cookies/delete', params: { a: '' }, cookies: { a: '1' } },
})

const CONTENT = named('content', {
  gzip: { url: '/gzip' },
  deflate: { url: '/deflate' },
  'utf-8': { url: '/encoding/utf8' },
  html: { url: '/html' },
  xml: { url: '/xml' },
  json: { url: '/json' },
  robots: { url: '/robots.txt' },
  deny: { url: '/deny' },
  png: { url: '/image/png' },
  jpeg: { url: '/image/jpeg' },
  svg: { url: '/image/svg' },
  webp: { url: '/image/webp' },
  'image by accept': { url: '/image', headers: { Accept: 'image/png' } },
  base64: { url: '/base64/SFRUUEJJTiBpcyBhd2Vzb21l' },
  bytes: { url: '/bytes/1000?seed=7' },
  'stream of bytes': { url: '/stream-bytes/5000?seed=7&chunk_size=500' },
  stream: { url: '/stream/5' },
  range: { url: '/range/1000', headers: { Range: 'bytes=10-99' } },
  'a range out of bounds': { url: '/range/100', headers: { Range: 'bytes=200-300' } },
  drip: { url: '/drip?numbytes=10&duration=0&code=200' },
  delay: { url: '/delay/1' },
  links: { url: '/links/3/0' },
  HEAD: { url: '/get', method: 'HEAD' },
  OPTIONS: { url: '/get', method: 'OPTIONS' },
  'method not allowed': { url: '/post' },
  'no such path': { url: '/no-such-path' },
})

export const CASES: readonly Case[] = [
  ...METHODS,
  ...PARAMS,
  ...URLS,
  ...HEADERS,
  ...BODIES,
  ...STATUSES,
  ...AUTH,
  ...REDIRECTS,
  ...COOKIES,
  ...CONTENT,
]
