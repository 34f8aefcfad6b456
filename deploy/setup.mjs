// What `npm start` and `npm test` run first: makes node_modules agree with package-lock.json, and with --test finds a Redis
// server. Plain JavaScript without dependencies, since it runs on whatever Node is there (20 or later).
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
/** The Node that the packages pin. */
const PINNED = join(root, 'node_modules', '.bin', 'node')
const say = (text) => process.stderr.write(`setup: ${text}\n`)

function fail(text) {
  say(text)
  process.exit(1)
}

function readJson(...path) {
  try {
    return JSON.parse(readFileSync(join(root, ...path), 'utf8'))
  } catch {
    return null
  }
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** The first package whose installed version is not the locked one; npm notes what it installed in a lock file of its own. */
function firstDifference() {
  const locked = readJson('package-lock.json')?.packages
  const installed = readJson('node_modules', '.package-lock.json')?.packages ?? {}
  if (!locked) fail('package-lock.json is missing or unreadable; get it back from the repository')
  const missing = Object.entries(locked).find(
    ([path, entry]) =>
      path !== '' && (installed[path] ? installed[path].version !== entry.version : !entry.optional || fitsHere(entry)),
  )
  return missing?.[0].replace(/^.*node_modules\//, '') ?? null
}

/** Optional packages are binaries, one a platform. Those that name a libc come in two kinds, of which npm picks the right one. */
function fitsHere({ os, cpu, libc }) {
  return Boolean(os && cpu && !libc && os.includes(process.platform) && cpu.includes(process.arch))
}

function run(command, args, environment = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, ...environment } }).status === 0
}

/** True where there was something to install. */
function installPackages() {
  const different = firstDifference()
  if (!different) return false
  say(`installing packages (${different} is not as locked)`)
  if (!run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])) fail('npm ci failed; see its message above')
  return true
}

function checkNode() {
  const pinned = spawnSync(PINNED, ['--version'], { encoding: 'utf8' })
  const version = pinned.status === 0 ? pinned.stdout.trim() : process.version
  const [major = 0, minor = 0, patch = 0] = version.slice(1).split('.').map(Number)
  const enough = major > 24 || (major === 24 && (minor > 18 || (minor === 18 && patch >= 1)))
  if (!enough)
    fail(
      `Node ${version} is too old and no Node package exists for ${process.platform}-${process.arch}: install Node 24.18.1 or later`,
    )
}

function findRedis() {
  if (onPath('redis-server')) return
  const apt = onPath('apt-get') && (process.getuid?.() === 0 ? [] : onPath('sudo') ? ['sudo', '-n'] : null)
  if (!apt)
    fail(
      'the tests need a Redis server: put redis-server on PATH (Debian: apt-get install redis-server; macOS: brew install redis)',
    )
  say(
    'the tests need a Redis server and none is on PATH: installing the package redis-server with apt-get (its service is not started)',
  )
  // Without this Debian would start a server on the default port; the tests start their own.
  const environment = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const aptGet = (...args) => {
    const [command, ...rest] = [...apt, 'apt-get', ...args]
    return run(command, rest, environment)
  }
  const installed = aptGet('install', '-y', '-qq', '--no-install-recommends', 'redis-server')
  if (!installed && !(aptGet('update', '-qq') && aptGet('install', '-y', '-qq', '--no-install-recommends', 'redis-server')))
    fail('apt-get could not install redis-server; install it by hand and run the tests again')
}

const isNew = installPackages()
checkNode()
// Where it fails the first start compiles for itself.
if (isNew) run(PINNED, [join(root, 'deploy', 'compile.mjs')])
if (process.argv.includes('--test')) findRedis()
