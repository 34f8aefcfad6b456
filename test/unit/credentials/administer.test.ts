import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { ListedSecret, SecretAdministration } from '../../../src/credentials/administer.ts'
import type { HighWater } from '../../../src/credentials/high-water.ts'
import { createKeyRing } from '../../../src/credentials/key-ring.ts'
import { createLastingTexts } from '../../../src/credentials/lasting-texts.ts'
import type { NewSecret } from '../../../src/credentials/provision.ts'
import { createSealer } from '../../../src/credentials/seal.ts'
import { createTextSealer } from '../../../src/credentials/seal-text.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { SecretStore } from '../../../src/model/ports.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { createMemoryValues } from '../../../src/stores/memory-values.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { administer } from '../../support/secrets.ts'

const HOUR = 3_600_000
const KEYS = { old: { id: 'old', key: randomBytes(32) }, new: { id: 'new', key: randomBytes(32) } }

const aSecret = (over: Partial<NewSecret> = {}): NewSecret => ({
  ...{ name: 'github', scheme: 'bearer', values: { token: 'canary-1' } },
  ...{ origins: ['https://api.github.com'], callers: ['billing'] },
  ...over,
})

function memoryMarks(): HighWater & { readonly marks: Map<string, number> } {
  const marks = new Map<string, number>()
  return {
    marks,
    of: (name) => marks.get(name) ?? 0,
    follow: async () => false,
    raise: async (name, revision) => void marks.set(name, Math.max(revision, marks.get(name) ?? 0)),
  }
}

function anOffice(over: Partial<SecretStore> = {}, marks: HighWater = memoryMarks()) {
  const clock = createFakeClock()
  const ring = createKeyRing({ keys: [KEYS.old], active: 'old' })
  const sealer = createSealer({ ring, installation: 'one' })
  const memory = createMemorySecrets()
  const values = createMemoryValues(clock)
  const textSealer = createTextSealer({ ring, installation: 'one' })
  const texts = createLastingTexts({ values, sealer: textSealer, fixed: [{ key: 'caller-keys', purpose: 'caller keys' }] })
  const store = { ...memory, ...over }
  const admin = administer({ store, sealer, clock, marks, texts })
  const open = async (name = 'github') => sealer.open(name, (await memory.get(name)).record ?? '')
  return { admin, clock, ring, sealer, memory, values, textSealer, marks, open }
}

/** "2 current, 1 previous": what stands under a name, newest first. */
async function standing(admin: SecretAdministration, name = 'github'): Promise<string> {
  const found = (await admin.list()).find((each) => each.name === name)
  if (!found) return 'none'
  if ('fault' in found) return found.fault
  return found.versions
    .toReversed()
    .map(({ version, state }) => `${version} ${state}`)
    .join(', ')
}

const at = (listed: readonly ListedSecret[]) => {
  const [first] = listed
  return first && !('fault' in first) ? first.versions : assert.fail('nothing usable is listed')
}

describe('set', () => {
  test('each is the next version and ends the one before, unless it is said to overlap', async () => {
    const { admin } = anOffice()
    assert.deepEqual(await admin.set(aSecret()), { name: 'github', version: 1, warnings: [] })
    assert.equal((await admin.set(aSecret())).version, 2)
    assert.equal(await standing(admin), '2 current')
    await admin.set(aSecret(), { overlapMs: HOUR })
    assert.equal(await standing(admin), '3 current, 2 previous')
  })

  test('two at once are both stored', async () => {
    const { admin } = anOffice()
    const made = await Promise.all([admin.set(aSecret()), admin.set(aSecret())])
    assert.deepEqual(made.map(({ version }) => version).sort(), [1, 2])
  })

  test('it gives up where somebody else is always first', async () => {
    const { admin } = anOffice({ put: async () => false })
    await assert.rejects(admin.set(aSecret()), { type: 'Overloaded', message: /changed by somebody else/ })
  })

  test('a pool is kept whole, its members sealed', async () => {
    const { admin, open, memory } = anOffice()
    const members = [{ token: 'canary-1' }, { token: 'canary-2' }]
    await admin.set(aSecret({ values: {}, pool: { pick: 'least-used', members } }))
    const [version] = (await open()).versions
    assert.deepEqual(version?.secret?.pool, { pick: 'least-used', members })
    assert.deepEqual(version?.secret?.values, { token: 'canary-1' })
    assert.deepEqual(at(await admin.list())[0]?.pool, { pick: 'least-used', size: 2 })
    assert.doesNotMatch((await memory.get('github')).record ?? '', /canary/)
  })

  test('one that would expire before it begins is refused', async () => {
    const { admin, clock } = anOffice()
    const late = { notBefore: clock.date() + HOUR, expiresAt: clock.date() + HOUR }
    await assert.rejects(admin.set(aSecret(), late), { type: 'InvalidDescriptor', message: /expire before it begins/ })
    await assert.rejects(admin.set(aSecret(), { expiresAt: clock.date() }), { type: 'InvalidDescriptor' })
    assert.equal(await standing(admin), 'none')
  })

  test('what cannot be opened gives way to what is set, with a warning; rotation and revocation refuse it', async () => {
    const { admin, memory } = anOffice()
    await memory.put('github', '{}', { after: 0, revision: 4 })
    await assert.rejects(admin.rotate('github', { values: { token: 'x' } }), {
      type: 'CredentialUnavailable',
      message: /set it anew/,
    })
    await assert.rejects(admin.revoke('github', null), { type: 'CredentialUnavailable' })
    const { version, warnings } = await admin.set(aSecret())
    assert.equal(version, 5)
    assert.match(warnings.join(), /not a record.*was replaced/)
  })
})

describe('rotate', () => {
  test('new values; scheme, origins and callers stay, and the one before is good for an hour', async () => {
    const { admin, clock, open } = anOffice()
    await admin.set(aSecret())
    assert.deepEqual(await admin.rotate('github', { values: { token: 'canary-2' } }), {
      name: 'github',
      version: 2,
      warnings: [],
    })
    const [, second] = (await open()).versions
    assert.deepEqual(second?.secret, { ...aSecret(), values: { token: 'canary-2' }, version: 2 })
    assert.equal(await standing(admin), '2 current, 1 previous')
    await clock.advance(HOUR - 1)
    assert.equal(await standing(admin), '2 current, 1 previous')
    await clock.advance(1)
    assert.equal(await standing(admin), '2 current, 1 retired')
  })

  test('what is given takes the place of what stood there', async () => {
    const { admin, open } = anOffice()
    await admin.set(aSecret())
    await admin.rotate('github', { scheme: 'basic', values: { username: 'u', password: 'canary' }, callers: ['shipping'] })
    const secret = (await open()).versions.at(-1)?.secret
    assert.deepEqual([secret?.scheme, secret?.callers, secret?.origins], ['basic', ['shipping'], ['https://api.github.com']])
  })

  test('one that is to come waits, and is dropped by the next; the overlap is counted from when that begins', async () => {
    const { admin, clock } = anOffice()
    await admin.set(aSecret())
    const start = clock.date()
    await admin.rotate('github', { values: { token: 'canary-2' }, notBefore: start + HOUR, overlapMs: HOUR })
    assert.equal(await standing(admin), '2 next, 1 current')
    const { version, warnings } = await admin.rotate('github', { values: { token: 'canary-3' }, notBefore: start + 2 * HOUR })
    assert.deepEqual([version, warnings], [3, ['version 2, which had yet to begin, is dropped']])
    assert.equal(at(await admin.list())[0]?.overlapUntil, start + 3 * HOUR)
    await clock.advance(2 * HOUR)
    assert.equal(await standing(admin), '3 current, 1 previous')
  })

  test('a name that is not stored is unknown', async () => {
    const { admin } = anOffice()
    await assert.rejects(admin.rotate('nobody', { values: { token: 'x' } }), { type: 'UnknownCredential' })
  })

  test('values that do not fit the scheme are refused, and are not repeated', async () => {
    const { admin } = anOffice()
    await admin.set(aSecret())
    await assert.rejects(admin.rotate('github', { values: { password: 'canary' } }), (error) => {
      assert.ok(error instanceof GatewayError && error.type === 'InvalidDescriptor')
      assert.doesNotMatch(error.message, /canary/)
      return true
    })
    assert.equal(await standing(admin), '1 current')
  })
})

describe('revoke', () => {
  test('one version: its values are gone from the record, and the one before serves until its overlap ends', async () => {
    const { admin, clock, open, memory } = anOffice()
    await admin.set(aSecret())
    await admin.rotate('github', { values: { token: 'canary-2' } })
    const { version, warnings } = await admin.revoke('github', 2)
    assert.equal(version, 2)
    assert.match(
      warnings.join(),
      new RegExp(`version 1 serves in its place, and only until ${new Date(clock.date() + HOUR).toISOString()}`),
    )
    assert.equal(await standing(admin), '2 revoked, 1 current')
    assert.equal((await open()).versions[1]?.secret, null)
    const record = JSON.parse((await memory.get('github')).record ?? '') as { versions: { values: string; dataKey: string }[] }
    assert.deepEqual([record.versions[1]?.values, record.versions[1]?.dataKey], ['', ''])
  })

  test('the whole name: a tombstone stays, and its successor has the next number', async () => {
    const { admin } = anOffice()
    await admin.set(aSecret())
    await admin.rotate('github', { values: { token: 'canary-2' } })
    assert.deepEqual(await admin.revoke('github', null), { name: 'github', version: null, warnings: [] })
    assert.equal(await standing(admin), '2 revoked, 1 revoked')
    assert.equal((await admin.rotate('github', { values: { token: 'canary-3' } })).version, 3)
    assert.equal(await standing(admin), '3 current, 2 revoked, 1 revoked')
  })

  test('the last one that serves: it is said that none does', async () => {
    const { admin } = anOffice()
    await admin.set(aSecret())
    assert.match((await admin.revoke('github', 1)).warnings.join(), /no version of "github" serves now: version 1 was revoked/)
  })

  test('again: nothing changes; a version that is not there is unknown', async () => {
    const { admin, open } = anOffice()
    await admin.set(aSecret())
    await admin.revoke('github', null)
    const { revision } = await open()
    await admin.revoke('github', null)
    assert.equal((await open()).revision, revision)
    await assert.rejects(admin.revoke('github', 7), { type: 'UnknownCredential', message: /has no version 7/ })
    await assert.rejects(admin.revoke('nobody', null), { type: 'UnknownCredential' })
  })

  test('what was obtained with it is removed, and what was obtained with the others stays', async () => {
    const { admin, values } = anOffice()
    const oauth = { tokenUrl: 'https://auth.example/token', clientId: 'id', clientSecret: 'canary' }
    await admin.set(aSecret({ scheme: 'oauth2-client-credentials', values: oauth }))
    await admin.rotate('github', { values: { ...oauth, clientSecret: 'canary-2' } })
    for (const version of [1, 2]) await values.put(`token:github@${version}`, 'sealed', { ttlMs: null, ifVersion: null })
    await admin.revoke('github', 1)
    assert.deepEqual([await values.get('token:github@1'), (await values.get('token:github@2'))?.value], [null, 'sealed'])
    await admin.remove('github')
    assert.equal(await values.get('token:github@2'), null)
  })
})

describe('remove', () => {
  test('the record is gone, and a secret of that name later is a later version', async () => {
    const { admin, marks } = anOffice()
    await admin.set(aSecret())
    await admin.set(aSecret())
    await admin.remove('github')
    assert.equal(await standing(admin), 'none')
    const mark = marks.of('github')
    assert.ok(((await admin.set(aSecret())).version ?? 0) > 2)
    assert.ok(marks.of('github') > mark)
    await admin.remove('github')
    await assert.rejects(admin.remove('github'), { type: 'UnknownCredential' })
  })
})

describe('roll-backs', () => {
  test('a record put back is refused by every deed, and listed as such; set begins above it', async () => {
    const { admin, memory } = anOffice()
    await admin.set(aSecret())
    const { record } = await memory.get('github')
    await admin.rotate('github', { values: { token: 'canary-2' } })
    await memory.put('github', record ?? '', { after: 2, revision: 1 })
    assert.match(await standing(admin), /rolled back to revision 1; revision 2 was there before/)
    await assert.rejects(admin.rotate('github', { values: { token: 'x' } }), {
      type: 'CredentialUnavailable',
      message: /rolled back/,
    })
    const { version, warnings } = await admin.set(aSecret())
    assert.match(warnings.join(), /rolled back.*was replaced/)
    assert.ok((version ?? 0) > 2)
    assert.match(await standing(admin), /current$/)
  })

  test('a revocation taken back is a roll-back, and so is a deletion', async () => {
    const { admin, memory } = anOffice()
    await admin.set(aSecret())
    const { record } = await memory.get('github')
    await admin.revoke('github', 1)
    await memory.put('github', record ?? '', { after: 2, revision: 1 })
    assert.match(await standing(admin), /rolled back/)
    await admin.remove('github')
    await memory.put('github', record ?? '', { after: 2, revision: 1 })
    assert.match(await standing(admin), /rolled back to revision 1/)
  })

  test('a store that was emptied begins above what was known', async () => {
    const marks = memoryMarks()
    await marks.raise('github', 9)
    const { admin, open } = anOffice({}, marks)
    assert.deepEqual([(await admin.set(aSecret())).version, (await open()).revision], [10, 10])
  })

  test('a mark that cannot be written is a warning: the change is done', async () => {
    const marks = {
      ...memoryMarks(),
      raise: () => Promise.reject(new GatewayError('Overloaded', 'the file x cannot be written')),
    }
    const { admin } = anOffice({}, marks)
    const { version, warnings } = await admin.set(aSecret())
    assert.deepEqual([version, warnings.length], [1, 1])
    assert.match(warnings[0] ?? '', /x cannot be written, so that an older record of "github" could be put back unseen/)
  })
})

describe('rekey', () => {
  async function withSecrets(over: Partial<SecretStore> = {}) {
    const office = anOffice(over)
    for (const name of ['a', 'b', 'c']) await office.admin.set(aSecret({ name }))
    await office.admin.rotate('b', { values: { token: 'canary-2' } })
    await office.values.put('caller-keys', office.textSealer.seal('caller keys', '[]'), { ttlMs: null, ifVersion: null })
    return office
  }
  const activate = ({ ring }: ReturnType<typeof anOffice>): void => ring.replace({ keys: [KEYS.new, KEYS.old], active: 'new' })

  test('every record and text is under the active key, and the old one can go; progress is told; again there is nothing to do', async () => {
    const office = await withSecrets()
    activate(office)
    const steps: string[] = []
    const report = await office.admin.rekey((done, of) => steps.push(`${done}/${of}`))
    assert.deepEqual(report, { keyId: 'new', resealed: ['a', 'b', 'c', 'caller keys'], unchanged: 0, failed: [] })
    assert.deepEqual(steps, ['1/4', '2/4', '3/4', '4/4'])
    office.ring.replace({ keys: [KEYS.new], active: 'new' })
    assert.equal(await standing(office.admin, 'b'), '2 current, 1 previous')
    assert.equal(office.textSealer.open('caller keys', (await office.values.get('caller-keys'))?.value ?? ''), '[]')
    assert.deepEqual(await office.admin.rekey(), { keyId: 'new', resealed: [], unchanged: 4, failed: [] })
  })

  test('a version that is made meanwhile is not lost, and a deletion is not undone', async () => {
    let meanwhile = async (_name: string): Promise<void> => {}
    const memory = createMemorySecrets()
    const office = await withSecrets({
      ...memory,
      async put(name, record, revision) {
        await meanwhile(name)
        return memory.put(name, record, revision)
      },
    })
    activate(office)
    const other = administer({ store: memory, sealer: office.sealer, clock: office.clock, marks: office.marks })
    meanwhile = async (name) => {
      meanwhile = async () => {}
      assert.equal(name, 'a')
      await other.rotate('a', { values: { token: 'canary-9' } })
      await other.remove('c')
    }
    const { failed } = await office.admin.rekey()
    assert.deepEqual(failed, [])
    assert.equal(await standing(other, 'a'), '2 current, 1 previous')
    assert.equal(await standing(other, 'c'), 'none')
  })

  test('interrupted, it leaves every record whole and goes on where it was', async () => {
    const office = await withSecrets()
    activate(office)
    const stop = new Error('interrupted')
    await assert.rejects(
      office.admin.rekey((done) => {
        if (done === 2) throw stop
      }),
      stop,
    )
    assert.equal(await standing(office.admin, 'c'), '1 current')
    assert.deepEqual((await office.admin.rekey()).resealed, ['c', 'caller keys'])
  })

  test('what cannot be opened is told by name, and the rest is done', async () => {
    const office = await withSecrets()
    await office.memory.put('b', '{}', { after: 2, revision: 3 })
    activate(office)
    const { resealed, failed } = await office.admin.rekey()
    assert.deepEqual(resealed, ['a', 'c', 'caller keys'])
    assert.deepEqual(
      failed.map(({ name }) => name),
      ['b'],
    )
  })
})
