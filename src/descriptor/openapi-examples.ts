// The examples of openapi.json. A test sends every descriptor through the parser and holds every answer against its schema.

export const DESCRIPTOR_EXAMPLES = {
  get: {
    summary: 'A plain GET with a query',
    value: { url: 'https://api.example.com/v1/items', params: { page: 2, tag: ['new', 'sale'] } },
  },
  postJson: {
    summary: 'JSON with a timeout, retries and an idempotency key that makes repeating it safe',
    value: {
      method: 'POST',
      url: 'https://api.example.com/v1/orders',
      json: { item: 17, quantity: 2 },
      timeout: { connect: '2s', read: '10s', total: '30s' },
      maxRetries: 3,
      idempotencyKey: 'order-8812',
      tags: { team: 'billing' },
    },
  },
  form: {
    summary: 'A form, as HTML sends it',
    value: { method: 'POST', url: 'https://login.example.com/token', data: { grant_type: 'client_credentials', scope: 'read' } },
  },
  upload: {
    summary: 'A file and a field, as multipart/form-data',
    value: {
      method: 'POST',
      url: 'https://files.example.com/upload',
      data: { folder: 'reports' },
      files: { report: { content: 'aGVsbG8K', filename: 'hello.txt', contentType: 'text/plain' } },
    },
  },
  secret: {
    summary: 'With a stored secret, by name: its value never passes through the caller',
    value: {
      url: 'https://api.github.com/user',
      auth: { secret: 'github-token' },
      headers: { Accept: 'application/vnd.github+json' },
    },
  },
} as const

const UNREACHED = {
  ok: false,
  status: null,
  reason: null,
  url: null,
  headers: {},
  encoding: null,
  links: {},
  bytes: 0,
  cookies: {},
  history: [],
  request: null,
  elapsed: null,
  timings: { queued: 0, connect: null, firstByte: null, total: 0 },
  attempts: [],
  notRetried: null,
  adapter: null,
  breaker: null,
  warnings: [],
  requestId: '0198c7d2-8a51-7cc3-9f4e-2b1d6f0a7e55',
  source: 'gateway',
} as const

const ATTEMPT = {
  hop: 0,
  method: 'GET',
  url: 'https://api.example.com/v1/items',
  adapter: 'example',
  origin: 'https://api.example.com',
  address: '93.184.215.14',
} as const

export const ENVELOPE_EXAMPLES = {
  answered: {
    summary: 'Answered at the second try',
    value: {
      ...UNREACHED,
      ok: true,
      status: 200,
      reason: 'OK',
      url: 'https://api.example.com/v1/items?page=2',
      headers: { 'content-type': 'application/json', 'content-length': '27' },
      encoding: 'utf-8',
      json: { items: [{ id: 1, price: 2.5 }] },
      bytes: 27,
      request: {
        method: 'GET',
        url: 'https://api.example.com/v1/items?page=2',
        headers: {
          'User-Agent': 'sallyport/0.1.0',
          'Accept-Encoding': 'gzip, deflate, br, zstd',
          Accept: '*/*',
          Authorization: 'Bearer ***',
        },
        bodyBytes: 0,
      },
      elapsed: 41,
      timings: { queued: 137, connect: null, firstByte: 41, total: 214 },
      attempts: [
        {
          ...ATTEMPT,
          reused: false,
          waited: 0,
          because: null,
          status: 503,
          sent: 'yes',
          connect: 12,
          firstByte: 20,
          elapsed: 33,
        },
        {
          ...ATTEMPT,
          reused: true,
          waited: 137,
          because: 'backoff',
          status: 200,
          sent: 'yes',
          connect: null,
          firstByte: 41,
          elapsed: 43,
        },
      ],
      adapter: 'example',
      breaker: 'closed',
      source: 'upstream',
      error: null,
    },
  },
} as const

export const INVALID_EXAMPLE = {
  ...UNREACHED,
  error: {
    type: 'InvalidDescriptor',
    message: 'tiemout: unknown key "tiemout"; the nearest known one is "timeout"',
    sent: 'no',
    retryable: false,
    detail: [{ pointer: '/tiemout', message: 'unknown key "tiemout"; the nearest known one is "timeout"' }],
  },
} as const

export const REFUSED_EXAMPLE = {
  ...UNREACHED,
  adapter: 'example',
  breaker: 'open',
  error: {
    type: 'BreakerOpen',
    message:
      'the breaker of adapter "example" for https://api.example.com is open after 12 failures of 20 calls; it tries again in 21 s',
    sent: 'no',
    retryable: true,
    retryAfter: 21_000,
  },
} as const
