// Foreign errors of the stores, as they come, and what is said of them: never their own words.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { storeAway, storeFault } from '../../../src/stores/store-fault.ts'

const coded = (code: string, message = 'canary'): Error => Object.assign(new Error(message), { code })

const CASES: readonly (readonly [error: unknown, kind: string, reason: RegExp])[] = [
  [new Error('WRONGPASS invalid username-password pair or user is disabled.'), 'refusing', /^refuses our user or password; .*store\.redis/],
  [new Error('NOAUTH Authentication required.'), 'refusing', /^refuses our user or password/],
  [new Error("NOPERM this user has no permissions to run the 'eval' command"), 'refusing', /^does not permit .*docs\/redis\.md/],
  [new Error("ERR The user executing the script can't run this command or subcommand script: a, on @user_script:2."), 'refusing', /^does not permit/],
  [new Error("READONLY You can't write against a read only replica. script: a, on @user_script:1."), 'refusing', /^is a read-only replica/],
  [new Error('LOADING Redis is loading the dataset in memory'), 'refusing', /^is still loading/],
  [new Error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), 'refusing', /lost its primary/],
  [new Error('CLUSTERDOWN Hash slot not served'), 'refusing', /^is a cluster that is down/],
  [new Error('MOVED 12182 10.0.0.1:7002'), 'refusing', /^is a node of a cluster; .*store\.redis\.cluster/],
  [new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 12182 10.0.0.1:7002'), 'refusing', /^is a cluster that is moving/],
  [new Error("CROSSSLOT Keys in request don't hash to the same slot"), 'refusing', /"\{sallyport\}:"/],
  [new Error("OOM command not allowed when used memory > 'maxmemory'. script: a, on @user_script:1."), 'refusing', /^is full; .*maxmemory.*noeviction/],
  [new Error('ERR Error running script (call to f_a): @user_script:2: @user_script: 2: -OOM command not allowed'), 'refusing', /^is full/],
  [new Error('MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.'), 'refusing', /disk/],
  [new Error('NOREPLICAS Not enough good replicas to write.'), 'refusing', /min-replicas-to-write/],
  [new Error('BUSY Redis is busy running a script.'), 'refusing', /busy/],
  [new Error('ERR max number of clients reached'), 'refusing', /maxclients/],
  [new Error("ERR unknown command 'eval', with args beginning with: 'canary'"), 'refusing', /^does not know a command/],
  [coded('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:6379'), 'refusing', /^refuses connections$/],
  [coded('ENOTFOUND', 'getaddrinfo ENOTFOUND canary.internal'), 'refusing', /^has a name that does not resolve$/],
  [coded('EHOSTUNREACH'), 'refusing', /cannot be reached/],
  [coded('CERT_HAS_EXPIRED'), 'refusing', /certificate that has expired/],
  [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'refusing', /nobody we trust has signed; .*tls\.ca/],
  [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'refusing', /another name.*tls\.serverName/],
  [coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'refusing', /client certificate/],
  [coded('ERR_SSL_WRONG_VERSION_NUMBER'), 'refusing', /^fails in TLS/],
  [new Error('All sentinels are unreachable. Retrying from scratch after 70ms. Last error: Connection is closed.'), 'refusing', /^has no sentinel that answers/],
  [new Error('failed to connect to sentinel a:1 because WRONGPASS invalid username-password pair'), 'refusing', /store\.redis\.sentinelPassword/],
  [new Error('All sentinels are unreachable. Retrying from scratch after 70ms.'), 'unsent', /^is not connected$/],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 'unsent', /^is not connected$/],
  [new Error("Cluster isn't ready and enableOfflineQueue options is false"), 'unsent', /^is not connected$/],
  [new Error('Connection is closed.'), 'cut', /^is not connected$/],
  [coded('ECONNRESET'), 'cut', /^is not connected$/],
  [new Error('Command timed out'), 'silent', /^does not answer in time$/],
  [new Error('Socket timeout. Expecting data, but didn\'t receive any in 400ms.'), 'silent', /^does not answer in time$/],
  [new Error('WRONGTYPE Operation against a key holding the wrong kind of value'), 'odd', /^failed$/],
  ['canary', 'odd', /^failed$/],
] // biome-ignore format: one a line

describe('an error of the store', () => {
  for (const [error, kind, reason] of CASES)
    test(String(error).slice(0, 90), () => {
      const fault = storeFault(error)
      assert.equal(fault.kind, kind)
      assert.match(fault.reason, reason)
      const refusal = storeAway('redis at h:1', fault)
      assert.deepEqual([refusal.type, refusal.retryAfter, refusal.cause], ['Overloaded', 1000, undefined])
      assert.doesNotMatch(refusal.message, /canary|10\.0\.0\.1/)
    })
})

test('docs/redis.md says what the log says', () => {
  const root = join(import.meta.dirname, '..', '..', '..')
  const table = readFileSync(join(root, 'docs', 'redis.md'), 'utf8').split('the store … | and then |')[1] ?? ''
  const source = readFileSync(join(root, 'src', 'stores', 'store-fault.ts'), 'utf8')
  const rows = [...table.matchAll(/^\| [^|]+ \| ([^|]+) \| [^|]+ \|$/gm)].map(([, said = '']) => said)
  assert.ok(rows.length > 10)
  for (const said of rows) {
    if (said.startsWith('(') || said.startsWith('one of')) continue
    for (const words of said.split(/, (?=is|has)| …/).filter(Boolean)) {
      const first = words.trim().split(', that')[0] ?? ''
      assert.ok(source.includes(first), `no reason says "${first}"`)
    }
  }
})
