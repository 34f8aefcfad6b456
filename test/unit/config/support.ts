// A folder of configuration files for one test, and what came of loading it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import { ConfigError, type Fault } from '../../../src/config/faults.ts'
import { type LoadedConfig, loadConfig } from '../../../src/config/load.ts'

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Writes `files` into a new folder, which goes when the test file ends. */
export function writeFiles(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

type Env = Readonly<Record<string, string | undefined>>

export async function load(yaml: string, env: Env = {}, others: Readonly<Record<string, string>> = {}): Promise<LoadedConfig> {
  const folder = writeFiles({ 'sallyport.yaml': yaml, ...others })
  return loadConfig({ file: join(folder, 'sallyport.yaml'), env })
}

/** The faults, each as `file:line:column key message`, the folder left out of the names. */
export async function faultsOf(yaml: string, env: Env = {}, others: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const folder = writeFiles({ 'sallyport.yaml': yaml, ...others })
  try {
    await loadConfig({ file: join(folder, 'sallyport.yaml'), env })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const show = ({ file, line, column, key, message }: Fault): string => `${file}:${line}:${column} ${key} ${message}`
    return error.faults.map((fault) => show(fault).replaceAll(`${folder}/`, ''))
  }
  return []
}
