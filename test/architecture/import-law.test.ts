// The room table of docs/architecture.md, held against every import in src/.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, test } from 'node:test'

const ROOT = join(import.meta.dirname, '..', '..')
const DOC = readFileSync(join(ROOT, 'docs', 'architecture.md'), 'utf8')
const FILES = globSync('src/**/*.ts', { cwd: ROOT }).sort()
const PURE = ['errors', 'model', 'json', 'descriptor', 'prepare', 'policy', 'envelope']

/** `src/layers/retry.ts` → `layers`; `src/gateway.ts` → `gateway`. */
const roomOf = (file: string): string => (file.split('/')[1] ?? '').replace(/\.ts$/, '')

/** Every module a file imports, types included. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8')
  const found = source.matchAll(
    /(?:^|\n)(?:import|export)\b[^'"\n;]*?(?:\{[^}]*\}[^'"\n;]*?)?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s*['"]([^'"]+)['"]/g,
  )
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

const localImports = (file: string): string[] =>
  importsOf(file)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(file), name)))

/** Room → rooms it may import, as the document's table says. */
type Allowed = ReadonlySet<string> | 'everything'

function readLaw(): Map<string, Allowed> {
  const rows = DOC.matchAll(/^\| `(\w+)(?:\/|\.ts)` \| [^|]+ \| ([^|]+) \|$/gm)
  return new Map(
    [...rows].map(([, room = '', allowed = '']): [string, Allowed] => [
      room,
      allowed.startsWith('everything') ? 'everything' : new Set(allowed.trim().split(/,\s*/)),
    ]),
  )
}

/** Library → the places where it may be imported, as the document's sentence says. */
function readDoors(): Map<string, string[]> {
  const sentence = DOC.slice(DOC.indexOf('One door per library:')).split('\n\n')[0] ?? ''
  const doors = new Map<string, string[]>()
  for (const clause of sentence.replace('One door per library:', '').split(/[;.]\s/)) {
    const places = [...clause.matchAll(/`([\w/.-]+?)\/?`/g)].map((match) => match[1] ?? '')
    const [libraries = ''] = clause.split(' in ')
    for (const library of libraries.split(/\s+and\s+|,\s*/))
      if (library.trim() && places.length > 0) doors.set(library.trim(), places)
  }
  return doors
}

describe('the import law', () => {
  const law = readLaw()

  test('every room has a row', () => {
    const rooms = new Set(FILES.map(roomOf))
    assert.deepEqual(
      [...rooms].filter((room) => !law.has(room)),
      [],
    )
    assert.ok(FILES.length > 20)
  })

  test('a room imports only what its row allows', () => {
    const broken = FILES.flatMap((file) => {
      const allowed = law.get(roomOf(file))
      if (allowed === 'everything') return []
      return localImports(file)
        .filter((target) => roomOf(target) !== roomOf(file) && !allowed?.has(roomOf(target)))
        .map((target) => `${file} imports ${target}`)
    })
    assert.deepEqual(broken, [])
  })

  test('a layer never imports a layer, a scheme never a scheme', () => {
    const broken = FILES.filter(
      (file) => /^src\/(layers|credentials\/schemes)\//.test(file) && !file.endsWith('/index.ts'),
    ).flatMap((file) =>
      localImports(file)
        .filter((target) => dirname(target) === dirname(file))
        .map((target) => `${file} imports ${target}`),
    )
    assert.deepEqual(broken, [])
  })

  test('there is no cycle, types included', () => {
    const state = new Map<string, 'open' | 'done'>()
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
        return
      }
      state.set(file, 'open')
      for (const target of localImports(file)) visit(target, [...path, file])
      state.set(file, 'done')
    }
    for (const file of FILES) visit(file, [])
    assert.deepEqual(cycles, [])
  })

  test('a library is imported only behind its door', () => {
    const doors = readDoors()
    assert.ok(doors.size >= 10, `doors found: ${[...doors.keys()].join(', ')}`)
    const broken = FILES.flatMap((file) =>
      importsOf(file)
        .filter((name) => {
          const places = doors.get(name) ?? doors.get(name.split('/')[0] ?? '')
          return places !== undefined && !places.some((place) => file.startsWith(`src/${place}`))
        })
        .map((name) => `${file} imports ${name}`),
    )
    assert.deepEqual(broken, [])
  })

  test('pure rooms do no I/O, read no clock, draw no chance', () => {
    const modules = /^node:(fs|net|tls|http|https|http2|dns|child_process|timers|worker_threads|os|process|sqlite|dgram)/
    const words = /\b(Date\.now|Math\.random|setTimeout|setInterval|setImmediate|process\.|performance\.)/
    const broken = FILES.filter((file) => PURE.includes(roomOf(file))).flatMap((file) => {
      const code = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      const bad = importsOf(file).filter(
        (name) => modules.test(name) && !(name === 'node:net' && file === 'src/policy/address-rules.ts'),
      )
      const word = words.exec(code)
      return [...bad.map((name) => `${file} imports ${name}`), ...(word ? [`${file} uses ${word[0]}`] : [])]
    })
    assert.deepEqual(broken, [])
  })
})
