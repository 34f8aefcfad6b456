// Makes dist/, the package as it is published: JavaScript instead of TypeScript, no development or Node-carrying packages.
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const compiled = spawnSync('npx', ['--no-install', 'tsc', '-p', 'deploy/tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (compiled.status !== 0) process.exit(compiled.status ?? 1)

for (const asset of globSync('src/**/*', { cwd: root, withFileTypes: true })) {
  if (!asset.isFile() || asset.name.endsWith('.ts')) continue
  const target = join(dist, asset.parentPath.slice(root.length), asset.name)
  mkdirSync(dirname(target), { recursive: true })
  cpSync(join(asset.parentPath, asset.name), target)
}
for (const path of ['config', 'deploy/compile.mjs', 'openapi.json', 'README.md', 'CHANGELOG.md'])
  cpSync(join(root, path), join(dist, path), { recursive: true })

const {
  scripts: _s,
  devDependencies: _d,
  optionalDependencies: _o,
  private: _p,
  knip: _k,
  ...manifest
} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
manifest.bin = { sallyport: 'src/main.js' }
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
