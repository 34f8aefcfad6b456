import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTwinRoutes } from '../../../src/adapters/twin-routes.ts'
import type { Routes } from '../../../src/model/ports.ts'
import { anAdapter, aUrl, CEILINGS } from '../../support/builders.ts'

test('a twin has the policy of its adapter under another name, without its cool-downs and one rate for all, and is the same object each time', () => {
  const adapter = anAdapter({ name: 'auth', limits: { ...anAdapter().limits, rateBy: 'caller' } })
  const routes: Routes = {
    ...{ ceilings: CEILINGS, caBundles: new Set(['corporate']) },
    find: ({ origin }) => (origin === 'https://api.example.com' ? { adapter, because: 'test' } : null),
  }
  const twins = createTwinRoutes(routes, ':token')
  const found = twins.find(aUrl('https://api.example.com/'))
  const limits = { ...adapter.limits, cooldown: false, rateBy: 'origin' }
  assert.deepEqual(found, { adapter: { ...adapter, name: 'auth:token', limits }, because: 'test' })
  assert.equal(twins.find(aUrl('https://api.example.com/x'))?.adapter, found?.adapter)
  assert.equal(twins.find(aUrl('https://other.example.com/')), null)
  assert.deepEqual([twins.ceilings, twins.caBundles], [CEILINGS, routes.caBundles])
})
