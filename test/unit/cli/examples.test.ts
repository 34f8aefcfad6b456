// Every example of docs/cli.md and docs/secrets.md runs as it is written there, and answers what stands below it. A shell makes words of the
// lines; only the ports differ, since those of the sample may be taken.
import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openAdministration } from '../../../src/callers/identities.ts'
import { createEphemeralSealer } from '../../../src/credentials/seal.ts'
import { createEphemeralTextSealer } from '../../../src/credentials/seal-text.ts'
import { systemClock } from '../../../src/installation.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { freePort } from '../../support/free-port.ts'
import { startGateway, type TestGateway } from '../../support/gateway.ts'
import { createMemoryValues } from '../../support/memory-values.ts'
import { administer } from '../../support/secrets.ts'
import { type Ran, runWords } from './shell.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const TOKEN = 'canary-token-of-the-sample'
const SAMPLE_PORT = '8081'

interface Example {
  readonly words: readonly string[]
  readonly env: Record<string, string>
}
interface Block {
  readonly text: string
  readonly shown: string | null
}

/** Each `sh` block, with the `text` block that follows it. */
function readBlocks(name: string): Block[] {
  const page = readFileSync(join(ROOT, 'docs', name), 'utf8')
  return [...page.matchAll(/```sh\n(.*?)```\n(?:\n```text\n(.*?)```)?/gs)].map(([, text = '', shown]) => ({
    text,
    shown: shown ?? null,
  }))
}

/** What a shell makes of a block: the words of each `sallyport`, and the environment that it would see. */
function readExamples({ text }: Block): Example[] {
  const record = `sallyport() { { printf '%s\\0' "$@"; printf '\\001\\0'; env -0; printf '\\002\\0'; } >&3; }\n`
  const { output, status } = spawnSync('sh', ['-ec', record + text], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '' },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    timeout: 5000,
  })
  assert.equal(status, 0, text)
  const recorded = String(output[3]).split('\u0002\0').slice(0, -1)
  return recorded.map((one) => {
    const [words = '', env = ''] = one.split('\u0001\0')
    const pairs = env
      .split('\0')
      .map((pair): [string, string] => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)])
    return { words: words.split('\0').slice(0, -1), env: Object.fromEntries(pairs) }
  })
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-examples-'))
const secrets = administer({
  ...{ store: createMemorySecrets(), sealer: createEphemeralSealer() },
})
const callers = openAdministration({
  ...{ store: createMemoryValues(), sealer: createEphemeralTextSealer(), clock: systemClock, log: { log: () => {} } },
  configured: () => [{ name: 'billing', admin: false, keyHashes: [], jwt: false, certificates: 0 }],
})
let sample: ChildProcess
let port = ''
let gateway: TestGateway

before(async () => {
  port = String(await freePort())
  const env = { ...process.env, SAMPLE_TOKEN: TOKEN, SALLYPORT_SAMPLE_PORT: port }
  sample = fork(join(ROOT, 'src', 'sample', 'upstream.ts'), { env })
  await once(sample, 'message')
  const origin = `http://127.0.0.1:${port}`
  const common = { egress: { allow: ['127.0.0.0/8'] }, retry: { total: 3, backoffFactor: '1ms' } }
  gateway = await startGateway({
    adapters: [
      { name: 'sample', mount: `${origin}/`, ...common },
      { name: 'token', mount: `${origin}/token`, credentials: 'sample-token', allowPlaintextSecrets: true, ...common },
    ],
    secrets: [{ name: 'sample-token', scheme: 'bearer', values: { token: TOKEN }, origins: [origin], callers: ['*'] }],
  })
})
after(async () => {
  await gateway.stop()
  sample.disconnect()
  await once(sample, 'exit')
  rmSync(folder, { recursive: true })
})

/** Where a page says the sample's port it means the test's, and paths are those of a checkout. */
async function run({ words, env }: Example): Promise<Ran> {
  const here = words.map((word) =>
    word
      .replace(/(?<=^(document=@)?)(?=README\.md$|config\/)/, `${ROOT}/`)
      .replace(/^sallyport\.key$/, join(folder, 'sallyport.key'))
      .replace(SAMPLE_PORT, words[0] === 'call' ? port : SAMPLE_PORT),
  )
  const values = join(folder, 'values')
  writeFileSync(values, 'token=canary-value\n')
  const [command, verb] = words
  const extra =
    command === 'call'
      ? ['--gateway', gateway.url]
      : command === 'secrets' && (verb === 'set' || verb === 'rotate')
        ? ['--values', values]
        : []
  return runWords([...here, ...extra], {
    isTTY: true,
    env,
    openStores: async () => ({ secrets, callers, who: 'ann', act: (_act, _subject, work) => work(), close: () => {} }),
  })
}

/** As the page writes it: paths of a checkout, and a new request id each time. */
const asShown = ({ out, err }: Ran): string =>
  (out + err).replaceAll(`${ROOT}/`, '').replaceAll(/request id \S+/g, 'request id …')

/** What a person is told beside the answer is no complaint: progress, and what a change does to what stood there. */
const complaintsOf = ({ err }: Ran): string => err.replace(/(?:\r\d+ of \d+)+\n|^warning: .*\n/gm, '')

for (const block of ['cli.md', 'secrets.md'].flatMap(readBlocks))
  test(`this runs as written: ${block.text.trim().split('\n').at(-1)}`, async () => {
    const examples = readExamples(block)
    assert.ok(examples.length > 0, 'a block without an example')
    for (const example of examples) {
      const ran = await run(example)
      assert.ok(!/canary/.test(ran.out + ran.err), 'a secret came out')
      if (block.shown === null) assert.deepEqual([ran.code, complaintsOf(ran)], [0, ''], example.words.join(' '))
      else assert.equal(asShown(ran), block.shown)
    }
  })

test('the page names every command and every option of call', async () => {
  const page = readFileSync(join(ROOT, 'docs', 'cli.md'), 'utf8')
  const { out } = await runWords(['call', '--help'])
  const options = [...out.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option = '']) => option)
  assert.ok(options.length >= 7)
  const help = await runWords(['--help'])
  const commands = [...help.out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
  assert.ok(commands.length >= 5)
  for (const name of [...options, ...commands.map((command) => `sallyport ${command}`)]) assert.ok(page.includes(name), name)
})
