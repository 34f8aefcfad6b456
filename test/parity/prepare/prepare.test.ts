// Preparation against Requests itself, case by case: prepare-cases.json is the input, prepare-cases.py writes what Requests
// makes of it to prepare-expected.json. Where we differ it is in DIFFERENCES, with the reason.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { Descriptor, FilePart, Pairs, RequestBody } from '../../../src/model/descriptor.ts'
import type { HeaderPair } from '../../../src/model/header-list.ts'
import { VERSION } from '../../../src/model/version.ts'
import { composeHop } from '../../../src/prepare/compose-hop.ts'
import { prepareCall, withAdapterParams } from '../../../src/prepare/prepare-call.ts'
import { resolveLocation } from '../../../src/prepare/resolve-location.ts'
import { aDescriptor, anAdapter, aPlan } from '../../support/builders.ts'
import { DIFFERENCES } from './differences.ts'

type Mapping = Record<string, string | null | (string | null)[]> | [string, string | null][]
interface Part {
  readonly content: string
  readonly filename?: string | null
  readonly contentType?: string
  readonly headers?: Record<string, string>
}
interface Case {
  readonly name: string
  readonly url: string
  readonly method?: string
  readonly params?: Mapping | string
  readonly headers?: Record<string, string | null>
  readonly data?: Mapping | string
  readonly content?: string
  readonly json?: string
  readonly files?: readonly (readonly [string, Part])[]
  readonly cookies?: Record<string, string>
  readonly adapter?: {
    readonly headers?: Record<string, string>
    readonly params?: Record<string, string>
    readonly cookies?: Record<string, string>
  }
  readonly location?: string
}
interface Result {
  readonly error?: string
  readonly url?: string
  readonly target?: string
  readonly headers?: readonly HeaderPair[]
  readonly body?: string | null
  readonly login?: readonly string[] | null
}
interface Expected {
  readonly versions: Record<string, string>
  readonly results: Record<string, Result>
}

const here = (file: string): string => new URL(file, import.meta.url).pathname
const cases = JSON.parse(readFileSync(here('prepare-cases.json'), 'utf8')) as Case[]
const expected = JSON.parse(readFileSync(here('prepare-expected.json'), 'utf8')) as Expected

function pairs(mapping: Mapping): Pairs {
  if (Array.isArray(mapping)) return mapping
  return Object.entries(mapping).flatMap(([name, value]): [string, string | null][] =>
    Array.isArray(value) ? value.map((one) => [name, one]) : [[name, value]],
  )
}

function bodyOf({ json, content, files, data }: Case): RequestBody | undefined {
  if (json !== undefined) return { kind: 'json', bytes: Buffer.from(json) }
  if (content !== undefined) return { kind: 'raw', bytes: Buffer.from(content, 'base64') }
  if (typeof data === 'string') return { kind: 'text', text: data }
  if (files === undefined) return data && { kind: 'form', pairs: pairs(data) }
  const parts = files.map(
    ([name, part]): FilePart => ({
      name,
      content: Buffer.from(part.content, 'base64'),
      filename: part.filename === undefined ? name : part.filename,
      ...(part.contentType !== undefined && { contentType: part.contentType }),
      headers: Object.entries(part.headers ?? {}),
    }),
  )
  return { kind: 'multipart', fields: data ? pairs(data) : [], files: parts }
}

function descriptorOf(one: Case): Descriptor {
  const body = bodyOf(one)
  return aDescriptor({
    method: one.method ?? 'GET',
    url: one.url,
    headers: Object.entries(one.headers ?? {}),
    cookies: Object.entries(one.cookies ?? {}),
    ...(one.params !== undefined && { params: typeof one.params === 'string' ? one.params : pairs(one.params) }),
    ...(body && { body }),
  })
}

function adapterOf({ headers = {}, params = {}, cookies = {} }: NonNullable<Case['adapter']> = {}): AdapterPolicy {
  return anAdapter({ headers: Object.entries(headers), params: Object.entries(params), cookies: Object.entries(cookies) })
}

function ours(one: Case): Result {
  try {
    const [descriptor, adapter] = [descriptorOf(one), adapterOf(one.adapter)]
    const { outbound, userinfo } = prepareCall(descriptor, () => 'b0undary')
    const routed = withAdapterParams(descriptor, outbound, adapter)
    if (one.location !== undefined) {
      const { href, target } = resolveLocation(routed.url, one.location)
      return { url: href, target }
    }
    const request = composeHop(routed, aPlan({ adapter }), { cookie: null, requestId: 'r-1', traceparent: null })
    return {
      url: request.url.href,
      target: request.url.target,
      headers: request.headers.map(withoutVersion),
      body: request.body && Buffer.from(request.body).toString('base64'),
      login: userinfo && [userinfo.username, userinfo.password],
    }
  } catch (error) {
    if (error instanceof GatewayError) return { error: error.type }
    throw error
  }
}

const withoutVersion = ([name, value]: HeaderPair): HeaderPair => [name, value === `sallyport/${VERSION}` ? 'default' : value]

/** What Requests lets escape unnamed: urllib3's complaint of a host that cannot be looked up is an InvalidURL. */
function named(result: Result | undefined): Result | undefined {
  return result?.error === 'LocationParseError' ? { error: 'InvalidURL' } : result
}

describe('what is sent is what Requests would send', () => {
  for (const one of cases) {
    test(one.name, () => {
      const theirs = named(expected.results[one.name])
      assert.ok(theirs, 'the case is missing in prepare-expected.json: run prepare-cases.py')
      const difference = DIFFERENCES[one.name]
      const result = ours(one)
      if (difference === undefined) return assert.deepEqual(result, theirs)
      assert.notDeepEqual(result, theirs, 'there is no difference any more: take it from the list')
      assert.deepEqual(
        result,
        difference.error ? { error: difference.error } : { ...(theirs.error ? {} : theirs), ...difference.ours },
      )
    })
  }
})

test('every difference belongs to a case', () => {
  const names = new Set(cases.map(({ name }) => name))
  assert.deepEqual(
    Object.keys(DIFFERENCES).filter((name) => !names.has(name)),
    [],
  )
})

test('the expected results are what this version of Requests gives now', (context) => {
  const run = spawnSync('python3', [here('prepare-cases.py')], { encoding: 'utf8', timeout: 30_000, maxBuffer: 1 << 26 })
  const now = run.status === 0 ? (JSON.parse(run.stdout) as Expected) : undefined
  if (JSON.stringify(now?.versions) !== JSON.stringify(expected.versions)) return context.skip('no such Requests here')
  assert.deepEqual(now, expected)
})
