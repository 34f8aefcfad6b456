// The pipeline's order in code, held against the two tables of docs/architecture.md and against what really runs.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Gate, Layer } from '../../src/model/dispatch.ts'
import { adapterStack, callStack } from '../../src/pipeline.ts'
import { aContext, aRequest, aResponse } from '../support/builders.ts'

const DOC = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'architecture.md'), 'utf8')

function documented(heading: string): string[] {
  const table = DOC.slice(DOC.indexOf(`| ${heading} |`)).split('\n\n')[0] ?? ''
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1] ?? '')
}

/** Layers that only say their name as a request passes. */
function named<Name extends string>(names: readonly Name[], seen: string[]): Record<Name, Layer> {
  const layer =
    (name: string): Layer =>
    (next) =>
    (request, context) => {
      seen.push(name)
      return next(request, context)
    }
  return Object.fromEntries(names.map((name) => [name, layer(name)])) as Record<Name, Layer>
}

/** The same of gates. */
function namedGates<Name extends string>(names: readonly Name[], seen: string[]): Record<Name, Gate> {
  const gate = (name: string): Gate => {
    return () => {
      seen.push(name)
      return null
    }
  }
  return Object.fromEntries(names.map((name) => [name, gate(name)])) as Record<Name, Gate>
}

test('the call stack runs in the documented order', async () => {
  const seen: string[] = []
  const layers = named(['idempotency', 'redirect', 'egress'], seen)
  await callStack(layers)(async () => aResponse())(aRequest(), aContext())
  assert.deepEqual(
    seen,
    documented('call stack').filter((name) => name !== 'transport'),
  )
})

test('the adapter stack runs in the documented order', async () => {
  const seen: string[] = []
  const layers = named(['retry', 'traceContext', 'timeLeft', 'credentials'], seen)
  const gates = namedGates(['cooldown', 'rateLimit', 'breakerDoor', 'bulkhead', 'cooldownDoor', 'breaker'], seen)
  await adapterStack({ ...layers, ...gates })(async () => aResponse())(aRequest(), aContext())
  assert.deepEqual(
    seen,
    documented('adapter stack').filter((name) => name !== 'transport'),
  )
})
