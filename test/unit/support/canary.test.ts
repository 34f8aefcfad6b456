// The scan itself must be able to find what it looks for, or a clean suite proves nothing.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CANARY, CANARY_TOKEN, findCanaries } from '../../support/canary.ts'

describe('the canary scan', () => {
  const hidden: Record<string, string> = {
    'as it is': `token=${CANARY_TOKEN}.`,
    'in upper-case hex': Buffer.from(CANARY_TOKEN).toString('hex').toUpperCase(),
    'in base64 behind no byte': Buffer.from(`${CANARY}tail`).toString('base64'),
    'in base64 behind one byte': Buffer.from(`x${CANARY}tail`).toString('base64'),
    'in base64 behind two bytes': Buffer.from(`ab${CANARY}tail`).toString('base64'),
    'in base64 of Basic credentials': Buffer.from(`someone:${CANARY_TOKEN}`).toString('base64url'),
    'percent-encoded': encodeURIComponent(CANARY),
    'in a JSON string': JSON.stringify({ deep: [CANARY] }),
    'in a form': new URLSearchParams({ q: CANARY }).toString(),
    'as latin-1 bytes': Buffer.from(CANARY, 'latin1').toString('latin1'),
  }
  for (const [name, text] of Object.entries(hidden)) {
    test(`finds it ${name}`, () => assert.notDeepEqual(findCanaries(`before ${text} after`), []))
  }
  test('finds nothing where there is none', () => assert.deepEqual(findCanaries('{"ok":true,"token":"***","status":200}'), []))
})
