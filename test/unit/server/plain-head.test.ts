// What the fast lane reads for itself must be what node:http reads: the same headers, the same body, or it is left to node:http.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { readPlainHead } from '../../../src/server/plain-head.ts'

const LINE = 'POST /v1/requests HTTP/1.1'
const headOf = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`

describe('a plain head', () => {
  test('is read whole: names in lower case, values without the blanks around them', () => {
    const text = headOf(LINE, 'Host: a', 'Content-Length:\t 12 ', 'X-Empty:', 'x-TWO: b  c')
    const headers = { host: 'a', 'content-length': '12', 'x-empty': '', 'x-two': 'b  c' }
    const { headers: read, ...rest } = readPlainHead(`${text}{"body":"…"}`) ?? assert.fail('not read')
    assert.deepEqual({ ...read }, headers)
    assert.deepEqual(rest, { size: text.length, length: 12, closes: false })
  })

  test('says where the caller ends the connection', () => {
    for (const [value, closes] of [
      ['close', true],
      ['Close', true],
      ['keep-alive', false],
      ['Keep-Alive', false],
    ] as const)
      assert.equal(readPlainHead(headOf(LINE, 'Content-Length: 0', `Connection: ${value}`))?.closes, closes)
  })

  test('may name a header like what every object has', () => {
    const read = readPlainHead(headOf(LINE, 'Content-Length: 0', '__proto__: x', 'constructor: y'))
    assert.deepEqual(Object.entries(read?.headers ?? {}), [
      ['content-length', '0'],
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  for (const [what, text] of [
    ['not whole', headOf(LINE, 'Content-Length: 0').slice(0, -1)],
    ['of another entrance', headOf('POST /v1/batch HTTP/1.1', 'Content-Length: 0')],
    ['with a query', headOf('POST /v1/requests?x HTTP/1.1', 'Content-Length: 0')],
    ['of another method', headOf('PUT /v1/requests HTTP/1.1', 'Content-Length: 0')],
    ['of HTTP/1.0', headOf('POST /v1/requests HTTP/1.0', 'Content-Length: 0')],
    ['without a length', headOf(LINE, 'Host: a')],
    ['with two lengths', headOf(LINE, 'Content-Length: 1', 'content-length: 1')],
    ['with a signed length', headOf(LINE, 'Content-Length: +1')],
    ['with a list of lengths', headOf(LINE, 'Content-Length: 1, 1')],
    ['with no digit of a length', headOf(LINE, 'Content-Length:')],
    ['in chunks', headOf(LINE, 'Content-Length: 1', 'Transfer-Encoding: chunked')],
    ['that asks first', headOf(LINE, 'Content-Length: 1', 'Expect: 100-continue')],
    ['that asks for another protocol', headOf(LINE, 'Content-Length: 1', 'Upgrade: h2c')],
    ['with trailers', headOf(LINE, 'Content-Length: 1', 'Trailer: x')],
    ['with names of headers for the next hop', headOf(LINE, 'Content-Length: 1', 'Connection: x-token')],
    ['that the next hop is to end', headOf(LINE, 'Content-Length: 1', 'Proxy-Connection: close')],
    ['with a blank before the colon', headOf(LINE, 'Content-Length: 1', 'X : y')],
    ['with a folded line', headOf(LINE, 'Content-Length: 1', 'X: y', ' z')],
    ['with a line without a colon', headOf(LINE, 'Content-Length: 1', 'X')],
    ['with a bare line feed', headOf(LINE, 'Content-Length: 1', 'X: y\nTransfer-Encoding: chunked')],
    ['with a bare carriage return', headOf(LINE, 'Content-Length: 1', 'X: y\rZ: z')],
    ['with a NUL', headOf(LINE, 'Content-Length: 1', 'X: \0')],
    ['with a byte beyond ASCII', headOf(LINE, 'Content-Length: 1', 'X: \xe9')],
  ] as const)
    test(`${what} is left to node:http`, () => assert.equal(readPlainHead(text), null))
})

describe('beside node:http', () => {
  interface Read {
    readonly headers: IncomingHttpHeaders
    readonly body: string
  }
  let seen: Read[] = []
  const server = createServer({ joinDuplicateHeaders: true, requireHostHeader: false }, (req, res) => {
    let body = ''
    req.setEncoding('latin1').on('data', (text: string) => {
      body += text
    })
    req.on('end', () => {
      seen.push({ headers: req.headers, body })
      res.end()
    })
  })
  before(() => once(server.listen(0, '127.0.0.1'), 'listening'))
  after(() => void server.close())

  const readByNode = async (bytes: string): Promise<Read[]> => {
    seen = []
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').resume()
    socket.end(bytes, 'latin1')
    await once(socket, 'close')
    return seen
  }

  const name = fc.constantFrom(
    'Host',
    'X-Request-Id',
    'Content-Type',
    'content-length',
    'Transfer-Encoding',
    'Connection',
    'Expect',
    'Upgrade',
    'X_a',
    'X y',
    'É',
    '',
  )
  const value = fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      '3',
      '03',
      '+3',
      '0x3',
      '3 ',
      ' \t3',
      '3,3',
      'chunked',
      'close',
      'keep-alive',
      'a, b',
      '',
      '"q"',
      'h2c',
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 6 }),
    fc.string({ unit: fc.constantFrom('a', ' ', '\t', '\r', '\n', '\0', '\x7f', '\xe9', ':'), maxLength: 5 }),
  )
  const end = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\n ', '\r\n\r\n')
  const colon = fc.constantFrom(':', ': ', ': ', ': ', ' :', '')

  test('whatever is read here is read alike there, and is one request', async () => {
    let plain = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, colon, value, end), { maxLength: 4 }), fc.nat(4), async (lines, length) => {
        const text = `${LINE}\r\nContent-Length: ${length}\r\n${lines.map((parts) => parts.join('')).join('')}\r\n`
        const read = readPlainHead(text)
        if (read === null) return
        plain++
        const body = 'body'.slice(0, read.length)
        assert.equal(body.length, read.length)
        const [one, ...more] = await readByNode(text.slice(0, read.size) + body)
        assert.deepEqual([{ ...one?.headers }, one?.body, more], [{ ...read.headers }, body, []])
      }),
      { numRuns: 4000 },
    )
    assert.ok(plain > 200, `only ${plain} were plain`)
  })
})
