import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseDescriptor } from '../../../src/descriptor/parse-descriptor.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Descriptor, RequestBody } from '../../../src/model/descriptor.ts'

const parse = (text: string | Buffer): Descriptor => parseDescriptor(Buffer.from(text as string))
/** A descriptor with a URL and the given members, written as JSON text. */
const withUrl = (members: string): string => `{"url":"https://api.example.com/"${members === '' ? '' : `,${members}`}}`

function refusal(text: string | Buffer): GatewayError {
  try {
    parse(text)
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error))
    return error
  }
  assert.fail(`taken: ${text}`)
}

/** "type pointer message" of every fault. */
const faults = (text: string): string[] => {
  const error = refusal(text)
  return (error.detail as { pointer: string; message: string }[]).map(
    ({ pointer, message }) => `${error.type} ${pointer} ${message}`,
  )
}

type Taken = readonly [members: string, expected: Partial<Descriptor>]
type Refused = readonly [members: string, fault: RegExp]

function taken(cases: readonly Taken[]): void {
  for (const [members, expected] of cases) {
    test(`${members} is taken`, () => {
      const parsed = parse(withUrl(members)) as unknown as Record<string, unknown>
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(parsed[key], value, key)
    })
  }
}

function refused(cases: readonly Refused[]): void {
  for (const [members, fault] of cases) {
    test(`${members} is refused`, () => {
      const found = faults(withUrl(members))
      assert.equal(found.length, 1, found.join('\n'))
      assert.match(found[0] as string, fault)
    })
  }
}

test('a URL alone is a descriptor; what is absent has its default or is absent', () => {
  assert.deepEqual(parse('{"url":"https://user:pass@api.example.com/?q=1#f"}'), {
    method: 'GET',
    url: 'https://user:pass@api.example.com/?q=1#f',
    headers: [],
    cookies: [],
    timeout: {},
    maxRedirects: 30,
    decode: 'auto',
    inspect: false,
    tags: {},
    warnings: [],
  })
})

test('null is the same as absent', () => {
  const keys = [
    'method',
    'params',
    'headers',
    'data',
    'content',
    'base64',
    'files',
    'cookies',
    'timeout',
    'maxRetries',
    'maxResponseSize',
  ]
  keys.push(
    'allowRedirects',
    'maxRedirects',
    'verify',
    'cert',
    'session',
    'encoding',
    'decode',
    'idempotencyKey',
    'inspect',
    'tags',
  )
  const nulls = keys.map((key) => `"${key}":null`).join()
  assert.deepEqual(parse(withUrl(nulls)), parse(withUrl('')))
})

describe('what is no descriptor at all', () => {
  const cases: [text: string, type: string, message: RegExp][] = [
    ['', 'InvalidDescriptor', /^the body is empty/],
    ['{', 'InvalidDescriptor', /^the body is not JSON at byte 1: it ends too early$/],
    ['[]', 'InvalidDescriptor', /^the body must be a JSON object$/],
    ['"x"', 'InvalidDescriptor', /must be a JSON object/],
    ['null', 'InvalidDescriptor', /must be a JSON object/],
    ['{}', 'InvalidDescriptor', /^url: is missing/],
    ['{"url":null}', 'InvalidDescriptor', /^url: is missing/],
    ['{"url":1}', 'InvalidDescriptor', /^url: must be a string$/],
    ['{"url":["https://x/"]}', 'InvalidDescriptor', /^url: must be a string$/],
    ['{"url":"x","json":NaN}', 'InvalidJSONError', /at byte 18: NaN/],
    ['{"url":"x","params":{"a":-Infinity}}', 'InvalidJSONError', /NaN and Infinity/],
    ['{"url":"x","json":NaN', 'InvalidDescriptor', /ends too early/],
    [`{"url":"x","json":${'['.repeat(64)}${']'.repeat(64)}}`, 'InvalidDescriptor', /more than 64 levels deep/],
  ]
  for (const [text, type, message] of cases) {
    test(text.slice(0, 60), () => {
      const error = refusal(text)
      assert.equal(error.type, type)
      assert.match(error.message, message)
      assert.equal(error.status, 400)
      assert.equal(error.sent, 'no')
    })
  }
  test('bytes that are no UTF-8', () =>
    assert.equal(refusal(Buffer.from('7b2275726c223a22ff227d', 'hex')).type, 'InvalidDescriptor'))
  test('a BOM', () => assert.equal(refusal('\ufeff{"url":"x"}').type, 'InvalidDescriptor'))
})

describe('keys', () => {
  refused([
    ['"tiemout":1', /^InvalidDescriptor \/tiemout unknown key "tiemout"; the nearest known one is "timeout"$/],
    ['"max_retries":1', /nearest known one is "maxRetries"/],
    ['"URL":"x"', /unknown key "URL"/],
    ['"__proto__":{"url":"x"}', /unknown key "__proto__"/],
    ['"constructor":1', /unknown key "constructor"/],
    ['"warnings":[]', /unknown key "warnings"/],
    ['"timeout":{"conect":1}', /\/timeout\/conect unknown key "conect"; the nearest known one is "connect"/],
    ['"timeout":{"__proto__":1}', /\/timeout\/__proto__ unknown key/],
    [
      '"maxRetries":{"backoff_factor":1}',
      /\/maxRetries\/backoff_factor unknown key "backoff_factor"; the nearest known one is "backoffFactor"/,
    ],
    ['"auth":{"secret":"a","name":"b"}', /\/auth\/name unknown key "name"/],
    [
      '"files":{"f":{"text":"a","fileName":"b"}}',
      /\/files\/f\/fileName unknown key "fileName"; the nearest known one is "filename"/,
    ],
    ['"method":"GET","method":"GET"', /^InvalidDescriptor \/method the key is given more than once$/],
    ['"params":{"a":1,"a":2}', /\/params\/a the key is given more than once/],
    ['"json":1,"json":1', /\/json the key is given more than once/],
  ])
  test('every fault is told, each with its pointer', () => {
    const error = refusal('{"tiemout":1,"method":"CONNECT","headers":{"Te":"x"},"auth":{"type":"basic","username":1}}')
    assert.deepEqual((error.detail as { pointer: string }[]).map(({ pointer }) => pointer).sort(), [
      '/auth/password',
      '/auth/username',
      '/headers/Te',
      '/method',
      '/tiemout',
      '/url',
    ])
    assert.match(error.message, /^tiemout: unknown key .* \(and 5 more, see detail\)$/)
  })
  test('no more than a hundred faults are told, and a long name is cut', () => {
    const error = refusal(`{${Array.from({ length: 500 }, (_, i) => `"${'k'.repeat(1000)}${i}":1`).join()}}`)
    assert.equal((error.detail as unknown[]).length, 100)
    assert.match(error.message, /at least 99 more/)
    assert.ok(JSON.stringify(error.detail).length < 50_000)
  })
})

describe('method', () => {
  taken([
    ['"method":"post"', { method: 'POST' }],
    ['"method":"M-SEARCH"', { method: 'M-SEARCH' }],
    ['"method":"x!#$%&\'*+-.^_`|~0"', { method: "X!#$%&'*+-.^_`|~0" }],
  ])
  refused([
    ['"method":"connect"', /^InvalidDescriptor \/method CONNECT makes tunnels/],
    ['"method":""', /\/method must be an HTTP method/],
    ['"method":"GET /"', /\/method must be an HTTP method/],
    ['"method":"G\\u0000T"', /\/method must be an HTTP method/],
    ['"method":"GÉT"', /\/method must be an HTTP method/],
    ['"method":"\\u0131nfo"', /\/method must be an HTTP method/],
    ['"method":7', /\/method must be an HTTP method/],
  ])
})

describe('params', () => {
  taken([
    ['"params":{}', { params: [] }],
    ['"params":"a=1&b"', { params: 'a=1&b' }],
    ['"params":""', { params: '' }],
    [
      '"params":{"b":2.0,"10":9007199254740993,"2":1E5,"t":true,"f":false,"s":"x y","n":null}',
      {
        params: [
          ['b', '2.0'],
          ['10', '9007199254740993'],
          ['2', '1E5'],
          ['t', 'true'],
          ['f', 'false'],
          ['s', 'x y'],
          ['n', null],
        ],
      },
    ],
    [
      '"params":{"a":[1,"x",true],"none":[],"nulls":[null]}',
      {
        params: [
          ['a', '1'],
          ['a', 'x'],
          ['a', 'true'],
          ['none', null],
          ['nulls', null],
        ],
      },
    ],
    [
      '"params":[["a",1],["b",null],["a","2"]]',
      {
        params: [
          ['a', '1'],
          ['b', null],
          ['a', '2'],
        ],
      },
    ],
    ['"params":{"__proto__":"x"}', { params: [['__proto__', 'x']] }],
  ])
  refused([
    ['"params":1', /\/params must be an object or a list of \[name, value\] pairs/],
    ['"params":{"a":{"b":1}}', /\/params\/a must be a string, a number, true, false, a list of these or null/],
    ['"params":{"a":[[1]]}', /\/params\/a\/0 must be a string, a number/],
    ['"params":["a"]', /\/params\/0 must be a pair/],
    ['"params":[["a"]]', /\/params\/0 must be a pair/],
    ['"params":[["a",1,2]]', /\/params\/0 must be a pair/],
    ['"params":[[1,"a"]]', /\/params\/0 must be a pair/],
    ['"params":[["a",["b"]]]', /\/params\/0\/1 must be a string, a number, true, false or null/],
    ['"params":{"a":"\\ud800"}', /\/params\/a half of a surrogate pair/],
  ])
})

describe('headers', () => {
  taken([
    [
      '"headers":{"X-B":"1","accept":null,"X-a":"","10":"\\u00e9\\t~"}',
      {
        headers: [
          ['X-B', '1'],
          ['accept', null],
          ['X-a', ''],
          ['10', 'é\t~'],
        ],
      },
    ],
    [
      '"headers":[["X","1"],["X","2"]]',
      {
        headers: [
          ['X', '1'],
          ['X', '2'],
        ],
      },
    ],
    ['"headers":{"Host":"other.example"}', { headers: [['Host', 'other.example']] }],
    ['"headers":{"X":"trailing "}', { headers: [['X', 'trailing ']] }],
  ])
  const reserved = [
    'Content-Length',
    'transfer-encoding',
    'CONNECTION',
    'Keep-Alive',
    'Upgrade',
    'TE',
    'Trailer',
    'Expect',
    'Proxy-Foo',
  ]
  refused([
    ...reserved.map(
      (name): Refused => [`"headers":{"${name}":"x"}`, new RegExp(`^InvalidHeader /headers/${name} is set by the gateway`)],
    ),
    ['"headers":{"":"x"}', /^InvalidHeader \/headers\/ is no header name/],
    ['"headers":{"a b":"x"}', /^InvalidHeader \/headers\/a b is no header name/],
    ['"headers":{"a:":"x"}', /^InvalidHeader .* is no header name/],
    ['"headers":{"é":"x"}', /^InvalidHeader .* is no header name/],
    ['"headers":{"\\u212aeep-alive":"x"}', /^InvalidHeader .* is no header name/],
    ['"headers":{"X":"a\\r\\nY: b"}', /^InvalidHeader \/headers\/X is no header value/],
    ['"headers":{"X":" a"}', /^InvalidHeader \/headers\/X is no header value/],
    ['"headers":{"X":"\\u00a0a"}', /^InvalidHeader \/headers\/X is no header value/],
    ['"headers":{"X":"a\\u0000"}', /^InvalidHeader \/headers\/X is no header value/],
    ['"headers":{"X":"a\\u007f"}', /^InvalidHeader \/headers\/X is no header value/],
    ['"headers":{"X":"→"}', /^InvalidHeader \/headers\/X is no header value/],
    ['"headers":[["X","\\n"]]', /^InvalidHeader \/headers\/0\/1 is no header value/],
    ['"headers":{"X-A":"1","x-a":"1"}', /^InvalidHeader \/headers\/x-a is given twice, in different case/],
    ['"headers":[["X-A","1"],["x-a",null]]', /^InvalidHeader \/headers\/1 is given twice, in different case/],
    ['"headers":{"X":1}', /^InvalidDescriptor \/headers\/X must be a string or null/],
    ['"headers":[["X"]]', /^InvalidDescriptor \/headers\/0 must be a pair/],
    ['"headers":"X: 1"', /^InvalidDescriptor \/headers must be an object or a list/],
  ])
  test('with other faults beside it, the type is InvalidDescriptor', () => {
    const error = refusal(withUrl('"headers":{"Te":"x"},"inspect":1'))
    assert.equal(error.type, 'InvalidDescriptor')
    assert.match(error.message, /^inspect: must be true or false \(and 1 more/)
  })
})

describe('the body', () => {
  const body = (members: string): RequestBody | undefined => parse(withUrl(members)).body
  const json = (members: string): string => {
    const parsed = body(members)
    assert.ok(parsed?.kind === 'json')
    return Buffer.from(parsed.bytes).toString()
  }
  test('json is the value as it stands in the text', () => {
    assert.equal(
      json('"json": { "b" : 2.0, "10":9007199254740993,\n "b":"\\u00e9\\ud800é" } '),
      '{ "b" : 2.0, "10":9007199254740993,\n "b":"\\u00e9\\ud800é" }',
    )
    assert.equal(json('"json":null'), 'null')
    assert.equal(json('"json":""'), '""')
    assert.equal(json('"json":0'), '0')
  })
  test('data is a form, pair by pair', () => {
    assert.deepEqual(body('"data":{"a":[1,2.50],"b":null,"c":true}'), {
      kind: 'form',
      pairs: [
        ['a', '1'],
        ['a', '2.50'],
        ['b', null],
        ['c', 'true'],
      ],
    })
    assert.deepEqual(body('"data":[["a","1"]]'), { kind: 'form', pairs: [['a', '1']] })
  })
  test('a string of data is text', () => assert.deepEqual(body('"data":"a=1"'), { kind: 'text', text: 'a=1' }))
  test('content is bytes, under either name', () => {
    assert.deepEqual(body('"content":"AP9/"'), { kind: 'raw', bytes: Buffer.from([0, 255, 127]) })
    assert.deepEqual(body('"base64":"aGk="'), { kind: 'raw', bytes: Buffer.from('hi') })
    assert.deepEqual(body('"content":""'), { kind: 'raw', bytes: Buffer.alloc(0) })
  })
  test('files are parts, with data as the fields', () => {
    const files =
      '"files":{"f":{"content":"aGk="},"g":{"text":"é","filename":null,"contentType":"text/plain","headers":{"X-Y":"z","N":null}}}'
    assert.deepEqual(body(`${files},"data":{"k":[1,2]}`), {
      kind: 'multipart',
      fields: [
        ['k', '1'],
        ['k', '2'],
      ],
      files: [
        { name: 'f', content: Buffer.from('hi'), filename: 'f', headers: [] },
        { name: 'g', content: Buffer.from('é'), filename: null, headers: [['X-Y', 'z']], contentType: 'text/plain' },
      ],
    })
  })
  test('a list of files may name a field twice; null is no file', () => {
    assert.deepEqual(body('"files":[["f",{"text":"1","filename":"a.txt"}],["n",null],["f",{"base64":"Mg=="}]]'), {
      kind: 'multipart',
      fields: [],
      files: [
        { name: 'f', content: Buffer.from('1'), filename: 'a.txt', headers: [] },
        { name: 'f', content: Buffer.from('2'), filename: 'f', headers: [] },
      ],
    })
  })
  refused([
    ['"json":1,"data":{}', /\/data cannot go with json: a request has one body/],
    ['"json":null,"content":""', /\/content cannot go with json/],
    ['"data":"x","base64":""', /\/base64 cannot go with data/],
    ['"content":"","base64":""', /\/base64 is another name for content/],
    ['"files":{},"json":1', /\/files goes with data alone/],
    ['"files":{},"content":""', /\/files goes with data alone/],
    ['"files":{},"data":"a=1"', /\/data must be an object or pairs beside files/],
    ['"data":1', /\/data must be an object or a list/],
    ['"content":1', /\/content must be base64/],
    ['"content":"aGk"', /\/content must be base64/],
    ['"content":"aG k="', /\/content must be base64/],
    ['"content":"aG=k"', /\/content must be base64/],
    ['"content":"a-_="', /\/content must be base64/],
    ['"content":"===="', /\/content must be base64/],
    ['"content":"aGk=aGk="', /\/content must be base64/],
    ['"base64":"é==="', /\/base64 must be base64/],
    ['"files":1', /\/files must be an object or a list/],
    ['"files":{"f":"text"}', /\/files\/f must be an object with content \(base64\) or text/],
    ['"files":{"f":{}}', /\/files\/f must have exactly one of content/],
    ['"files":{"f":{"content":"","text":""}}', /\/files\/f must have exactly one of content/],
    ['"files":[["f",{"text":1}]]', /\/files\/0\/1\/text must be a string/],
    ['"files":{"f":{"content":"?"}}', /\/files\/f\/content must be base64/],
    ['"files":{"f":{"text":"","filename":1}}', /\/files\/f\/filename must be a string/],
    ['"files":{"f":{"text":"","contentType":"a\\nb"}}', /^InvalidHeader \/files\/f\/contentType is no header value/],
    ['"files":{"f":{"text":"","headers":{"Host":"x"}}}', /^InvalidHeader \/files\/f\/headers\/Host is set by the gateway/],
    ['"files":{"f":{"text":"","headers":{"Content-Length":"1"}}}', /^InvalidHeader \/files\/f\/headers\/Content-Length/],
    ['"files":{"f":{"text":"\\ud800"}}', /\/files\/f\/text half of a surrogate pair/],
  ])
})

describe('cookies and tags', () => {
  taken([
    [
      '"cookies":{"b":"1","10":"x y","A":"","a":"q","no":null}',
      {
        cookies: [
          ['b', '1'],
          ['10', 'x y'],
          ['A', ''],
          ['a', 'q'],
        ],
      },
    ],
    [
      `"tags":{"team":"billing","${'n'.repeat(64)}":"${'v'.repeat(64)}"}`,
      { tags: { team: 'billing', ['n'.repeat(64)]: 'v'.repeat(64) } },
    ],
  ])
  refused([
    ['"cookies":{"a":1}', /\/cookies\/a must be a string/],
    ['"cookies":[["a","1"]]', /\/cookies must be an object of strings/],
    ['"cookies":{"a b":"1"}', /^InvalidHeader \/cookies\/a b is no cookie name/],
    ['"cookies":{"a":"\\r\\n"}', /^InvalidHeader \/cookies\/a is no header value/],
    ['"tags":{"a":1}', /\/tags\/a must be a string/],
    ['"tags":"a"', /\/tags must be an object of strings/],
    [`"tags":{"a":"${'v'.repeat(65)}"}`, /\/tags\/a must not be longer than 64 characters/],
    [`"tags":{${Array.from({ length: 9 }, (_, i) => `"t${i}":""`).join()}}`, /\/tags must not hold more than 8 tags/],
  ])
})

describe('auth', () => {
  taken([
    ['"inspect":false', {}],
    ['"auth":null', { auth: null }],
    ['"auth":{"secret":"github-token"}', { auth: { secret: 'github-token' } }],
    ['"auth":{"type":"basic","username":" ü","password":"→:"}', { auth: { type: 'basic', username: ' ü', password: '→:' } }],
    ['"auth":{"type":"digest","username":"","password":""}', { auth: { type: 'digest', username: '', password: '' } }],
    ['"auth":{"type":"bearer","token":"a.b-c"}', { auth: { type: 'bearer', token: 'a.b-c' } }],
    ['"auth":{"value":"v","type":"header","name":"X-Key"}', { auth: { type: 'header', name: 'X-Key', value: 'v' } }],
    ['"auth":{"type":"query","name":"key","value":"→"}', { auth: { type: 'query', name: 'key', value: '→' } }],
  ])
  test('absent, it is absent', () => assert.equal('auth' in parse(withUrl('')), false))
  refused([
    ['"auth":"token"', /\/auth must be \{"secret": NAME\}, null, or have a type: basic, digest, bearer, header, query/],
    ['"auth":{}', /\/auth must be \{"secret": NAME\}/],
    ['"auth":{"type":"oauth"}', /\/auth\/type must be one of basic/],
    ['"auth":{"type":"toString"}', /\/auth\/type must be one of basic/],
    ['"auth":{"type":1}', /\/auth\/type must be one of basic/],
    ['"auth":{"secret":"-x"}', /\/auth\/secret must be the name of a stored secret/],
    ['"auth":{"secret":null}', /\/auth\/secret is missing/],
    ['"auth":{"type":"basic","username":"u"}', /\/auth\/password is missing/],
    ['"auth":{"type":"basic","username":"u","password":null}', /\/auth\/password is missing/],
    ['"auth":{"type":"basic","username":"u","password":7}', /\/auth\/password must be a string/],
    ['"auth":{"type":"basic","username":"u\\n","password":""}', /^InvalidHeader \/auth\/username must not hold a control/],
    ['"auth":{"type":"digest","username":"u","password":"\\u0000"}', /^InvalidHeader \/auth\/password must not hold a control/],
    ['"auth":{"type":"bearer","token":""}', /^InvalidHeader \/auth\/token must not be empty/],
    ['"auth":{"type":"bearer","token":"a\\r\\nb"}', /^InvalidHeader \/auth\/token is no header value/],
    ['"auth":{"type":"header","name":"Host","value":"x"}', /^InvalidHeader \/auth\/name is set by the gateway/],
    ['"auth":{"type":"header","name":"a b","value":"x"}', /^InvalidHeader \/auth\/name is no header name/],
    ['"auth":{"type":"header","name":"Proxy-Authorization","value":"x"}', /^InvalidHeader \/auth\/name is set/],
    ['"auth":{"type":"header","name":"A","value":" x"}', /^InvalidHeader \/auth\/value is no header value/],
    ['"auth":{"type":"query","name":"","value":"x"}', /\/auth\/name must not be empty/],
    ['"auth":{"type":"query","name":"k","value":"\\udfff"}', /\/auth\/value half of a surrogate pair/],
  ])
  test('no message or detail ever repeats a credential', () => {
    const canary = 'c4n4ry'
    const texts = [
      `"auth":{"type":"bearer","token":"${canary}\\n"}`,
      `"auth":{"type":"${canary}"}`,
      `"auth":"${canary}"`,
      `"auth":{"type":"header","name":"A","value":" ${canary}"}`,
      `"auth":{"secret":"${canary}!"}`,
      `"headers":{"Authorization":"${canary}\\n"}`,
      `"cookies":{"a":"${canary}\\n"}`,
      `"url":"https://u:${canary}@h/"`,
      `"timeout":"${canary}"`,
      `"method":"${canary} "`,
    ]
    for (const text of texts) {
      const error = refusal(withUrl(text))
      assert.ok(!`${error.message}${JSON.stringify(error.detail)}`.includes(canary), text)
    }
  })
})

describe('timeout', () => {
  taken([
    ['"timeout":5000', { timeout: { connect: 5000, read: 5000 }, warnings: [] }],
    ['"timeout":"3.05s"', { timeout: { connect: 3050, read: 3050 } }],
    ['"timeout":5e3', { timeout: { connect: 5000, read: 5000 } }],
    ['"timeout":[100,"2m"]', { timeout: { connect: 100, read: 120_000 } }],
    ['"timeout":[null,1000]', { timeout: { read: 1000 } }],
    ['"timeout":[1000,null]', { timeout: { connect: 1000 } }],
    ['"timeout":{"total":"250ms","connect":null}', { timeout: { total: 250 } }],
    ['"timeout":{}', { timeout: {} }],
    ['"timeout":50', { warnings: [] }],
    [
      '"timeout":5',
      {
        timeout: { connect: 5, read: 5 },
        warnings: ['timeout.connect is 5, timeout.read is 5 milliseconds; for seconds write "3.05s"'],
      },
    ],
    ['"timeout":{"total":49}', { warnings: ['timeout.total is 49 milliseconds; for seconds write "3.05s"'] }],
  ])
  const hint = 'milliseconds; for seconds write "3\\.05s"'
  refused([
    ...['0', '-1', '3.05', '0.5', '"0s"', '"0.5ms"', '"5"', 'true', '""', '1e400'].map(
      (value): Refused => [`"timeout":${value}`, new RegExp(`^InvalidDescriptor /timeout must .*${hint}`)],
    ),
    ['"timeout":[1000,0]', new RegExp(`^InvalidDescriptor /timeout/1 must .*${hint}`)],
    ['"timeout":{"read":1.5}', new RegExp(`^InvalidDescriptor /timeout/read must .*${hint}`)],
    ['"timeout":[1000]', /\/timeout must be a pair \[connect, read\]/],
    ['"timeout":[]', /\/timeout must be a pair/],
    ['"timeout":[1000,1000,1000]', /\/timeout must be a pair/],
  ])
})

describe('maxRetries', () => {
  taken([
    ['"maxRetries":0', { maxRetries: { total: 0, connect: 0, read: 0, status: 0 } }],
    ['"maxRetries":3.0', { maxRetries: { total: 3, connect: 3, read: 3, status: 3 } }],
    ['"maxRetries":{}', { maxRetries: {} }],
    [
      '"maxRetries":{"total":5,"connect":1,"read":0,"status":2,"statusForcelist":[429,503],"allowedMethods":["get","PUT"],"backoffFactor":0,"backoffMax":"2s","respectRetryAfterHeader":false,"raiseOnStatus":true}',
      {
        maxRetries: {
          total: 5,
          connect: 1,
          read: 0,
          status: 2,
          statusForcelist: [429, 503],
          allowedMethods: ['GET', 'PUT'],
          backoffFactor: 0,
          backoffMax: 2000,
          respectRetryAfterHeader: false,
          raiseOnStatus: true,
        },
      },
    ],
    ['"maxRetries":{"allowedMethods":null,"total":null}', { maxRetries: {} }],
  ])
  refused([
    ['"maxRetries":-1', /\/maxRetries must be a whole number of at least 0/],
    ['"maxRetries":1.5', /\/maxRetries must be a whole number of at least 0/],
    ['"maxRetries":"3"', /\/maxRetries must be a whole number of at least 0/],
    ['"maxRetries":[1]', /\/maxRetries must be a whole number/],
    ['"maxRetries":{"total":-1}', /\/maxRetries\/total must be a whole number of at least 0/],
    ['"maxRetries":{"statusForcelist":503}', /\/maxRetries\/statusForcelist must be a list of HTTP statuses/],
    ['"maxRetries":{"statusForcelist":[99]}', /\/maxRetries\/statusForcelist\/0 must be a whole number from 100 to 599/],
    ['"maxRetries":{"allowedMethods":["G T"]}', /\/maxRetries\/allowedMethods\/0 must be an HTTP method/],
    ['"maxRetries":{"backoffFactor":0.2}', /\/maxRetries\/backoffFactor must be .*milliseconds; for seconds write/],
    ['"maxRetries":{"raiseOnStatus":1}', /\/maxRetries\/raiseOnStatus must be true or false/],
  ])
})

describe('the other keys', () => {
  taken([
    ['"maxResponseSize":1024', { maxResponseSize: 1024 }],
    ['"maxResponseSize":"64KiB"', { maxResponseSize: 65_536 }],
    ['"allowRedirects":false', { allowRedirects: false }],
    ['"maxRedirects":0', { maxRedirects: 0 }],
    ['"verify":false', { verify: false }],
    ['"verify":"corporate"', { verify: 'corporate' }],
    ['"cert":"github-client"', { cert: 'github-client' }],
    ['"session":"A.b_c-9"', { session: 'A.b_c-9' }],
    ['"encoding":"utf-16le"', { encoding: 'utf-16le' }],
    ['"decode":"none"', { decode: 'none' }],
    [`"idempotencyKey":"${'k'.repeat(255)}"`, { idempotencyKey: 'k'.repeat(255) }],
    ['"inspect":true', { inspect: true }],
  ])
  refused([
    ['"maxResponseSize":"10mb"', /\/maxResponseSize must be a number of bytes/],
    ['"maxResponseSize":-1', /\/maxResponseSize must be a number of bytes/],
    ['"allowRedirects":"no"', /\/allowRedirects must be true or false/],
    ['"maxRedirects":-1', /\/maxRedirects must be a whole number of at least 0/],
    ['"verify":"../ca.pem"', /\/verify must be true, false or the name of a configured CA bundle/],
    ['"verify":1', /\/verify must be true, false or the name/],
    ['"cert":"-"', /\/cert must be the name of a stored client certificate/],
    [`"session":"${'s'.repeat(65)}"`, /\/session must be the name of a session/],
    ['"session":""', /\/session must be the name of a session/],
    ['"encoding":""', /\/encoding must be the name of a charset/],
    ['"decode":"xml"', /\/decode must be one of auto, json, text, base64, none/],
    ['"idempotencyKey":""', /\/idempotencyKey must be 1-255 visible ASCII/],
    ['"idempotencyKey":"a b"', /\/idempotencyKey must be 1-255 visible ASCII/],
    [`"idempotencyKey":"${'k'.repeat(256)}"`, /\/idempotencyKey must be 1-255 visible ASCII/],
    ['"inspect":"true"', /\/inspect must be true or false/],
  ])
})
