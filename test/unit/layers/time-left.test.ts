import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeLeft } from '../../../src/layers/time-left.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import { aContext, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

function run(header: string | null) {
  const clock = createFakeClock()
  const context = { ...aContext(), deadline: clock.now() + 2500.9 }
  const sent: HopRequest[] = []
  const dispatch = timeLeft(header, { clock })(async (request) => {
    sent.push(request)
    return aResponse()
  })
  const told = async (request: HopRequest): Promise<HopRequest['headers']> => {
    await dispatch(request, context)
    return sent.at(-1)?.headers ?? []
  }
  return { clock, told }
}

test('each try tells what is left then, in whole milliseconds and never less than one', async () => {
  const { clock, told } = run('X-Time-Left')
  const request = aRequest({ headers: [['Accept', '*/*']] })
  assert.deepEqual(await told(request), [
    ['Accept', '*/*'],
    ['X-Time-Left', '2500'],
  ])
  await clock.advance(1000)
  assert.deepEqual((await told(request)).at(-1), ['X-Time-Left', '1500'])
  await clock.advance(9000)
  assert.deepEqual((await told(request)).at(-1), ['X-Time-Left', '1'])
})

test('what a caller wrote under that name is replaced', async () => {
  const { told } = run('X-Time-Left')
  assert.deepEqual(await told(aRequest({ headers: [['x-time-left', '999999']] })), [['X-Time-Left', '2500']])
})

test('without a header nothing is told', async () => {
  const request = aRequest()
  assert.equal(await run(null).told(request), request.headers)
})
