// The command line as a test runs it: words in, exit code and what was written out.
import { PassThrough, Writable } from 'node:stream'
import { runCli } from '../../../src/cli/cli.ts'
import type { CliPorts } from '../../../src/cli/ports.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  /** `out` as it was written. */
  readonly bytes: Buffer
  readonly err: string
}

export async function runWords(
  words: readonly string[],
  given: Partial<CliPorts> & { readonly isTTY?: boolean } = {},
): Promise<Ran> {
  const { isTTY = false, ...ports } = given
  const out: Buffer[] = []
  const err: Buffer[] = []
  const into = (chunks: Buffer[]): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        chunks.push(Buffer.from(chunk))
        done()
      },
    })
  const stdin = new PassThrough()
  stdin.end()
  const code = await runCli(words, {
    serve: async () => {},
    openStores: () => Promise.reject(new Error('no stores here')),
    openTrail: () => Promise.reject(new Error('no trail here')),
    interrupted: () => AbortSignal.abort(),
    env: {},
    stdin,
    stdout: Object.assign(into(out), { isTTY }),
    stderr: into(err),
    ...ports,
  })
  const bytes = Buffer.concat(out)
  return { code, bytes, out: bytes.toString(), err: Buffer.concat(err).toString() }
}
