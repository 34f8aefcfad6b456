import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { type Ended, type Gate, gates } from '../../../src/model/dispatch.ts'
import { aContext, aRequest, aResponse } from '../../support/builders.ts'
import { settle } from '../../support/fake-clock.ts'
import { scripted, watch } from '../../support/scripted-dispatch.ts'

const GOOD = aResponse()
const BROKEN = new GatewayError('ConnectionError', 'broke')

function build() {
  const seen: string[] = []
  const told: Ended[] = []
  const gate = (name: string): Gate => {
    return () => {
      seen.push(`into ${name}`)
      return (ended) => {
        seen.push(`out of ${name}`)
        told.push(ended)
      }
    }
  }
  return { seen, told, gate }
}

test('a try enters in order and leaves in reverse, and each gate is told its answer', async () => {
  const { seen, told, gate } = build()
  const response = await gates(
    gate('a'),
    gate('b'),
  )(async () => {
    seen.push('sent')
    return GOOD
  })(aRequest(), aContext())
  assert.equal(response, GOOD)
  assert.deepEqual(seen, ['into a', 'into b', 'sent', 'out of b', 'out of a'])
  assert.deepEqual(told, [
    { kind: 'answer', response: GOOD },
    { kind: 'answer', response: GOOD },
  ])
})

test('each gate is told of a failure, which comes out as it is', async () => {
  const { told, gate } = build()
  const result = watch(gates(gate('a'))(scripted(BROKEN).dispatch)(aRequest(), aContext()))
  await settle()
  assert.deepEqual([result.error, told], [BROKEN, [{ kind: 'failure', error: BROKEN }]])
})

test('a refused try leaves what it had entered, and nothing is sent', async () => {
  for (const refuse of [
    () => {
      throw BROKEN
    },
    () => Promise.reject(BROKEN),
  ]) {
    const { seen, gate } = build()
    const upstream = scripted(GOOD)
    const result = watch(gates(gate('a'), refuse, gate('c'))(upstream.dispatch)(aRequest(), aContext()))
    await settle()
    assert.deepEqual([result.error, seen, upstream.asked.length], [BROKEN, ['into a', 'out of a'], 0])
  }
})

test('a try waits where a gate lets it wait', async () => {
  const { seen, gate } = build()
  let open = (): void => {}
  const upstream = scripted(GOOD)
  const slow: Gate = () =>
    new Promise((resolve) => {
      open = () => resolve(() => void seen.push('out of slow'))
    })
  const result = watch(gates(slow, gate('b'))(upstream.dispatch)(aRequest(), aContext()))
  await settle()
  assert.deepEqual([seen, upstream.asked.length], [[], 0])
  open()
  await settle()
  assert.deepEqual([result.value, seen], [GOOD, ['into b', 'out of b', 'out of slow']])
})

test('a try that is turned back leaves what it had entered and begins with the first gate', async () => {
  const { seen, told, gate } = build()
  let times = 0
  const turnsBack: Gate = () => (times++ === 0 ? 'again' : null)
  const upstream = scripted(GOOD)
  assert.equal(await gates(gate('a'), turnsBack)(upstream.dispatch)(aRequest(), aContext()), GOOD)
  assert.deepEqual(seen, ['into a', 'out of a', 'into a', 'out of a'])
  assert.deepEqual([told[0], upstream.asked.length], [{ kind: 'turned back' }, 1])
})

test('a gate that fails when it is left keeps nobody from leaving the others', async () => {
  const { seen, gate } = build()
  const fails: Gate = () => () => {
    throw new Error('a bug')
  }
  const result = watch(gates(gate('a'), fails)(scripted(GOOD).dispatch)(aRequest(), aContext()))
  await settle()
  assert.deepEqual([(result.error as Error).message, seen], ['a bug', ['into a', 'out of a']])
})
