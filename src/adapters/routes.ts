// Which adapter a URL belongs to: the longest mounted prefix that ends at a boundary. An index by origin, then by path
// segment, so that two thousand adapters cost a call what two do. contract: "Adapters".
import type { AdapterPolicy, Ceilings } from '../model/adapter-policy.ts'
import { type Mount, parseMount, upperCaseEscapes } from '../model/mount.ts'
import type { Routes } from '../model/ports.ts'

/** Made once an adapter: a look-up hands out the same object every time. */
interface Route {
  readonly adapter: AdapterPolicy
  readonly because: string
  /** Prefixes that match whatever this one matches, itself included: those of which it is the longest. */
  readonly matching: number
}

interface Mounted {
  readonly adapter: AdapterPolicy
  readonly mount: Mount
}

/** A path up to the end of a segment. */
interface PathNode {
  /** Mounted without a slash at its end: matches at the segment's end. */
  exact: Route | null
  /** Mounted with one: matches what comes after it. */
  below: Route | null
  readonly children: Map<string, PathNode>
}

/** The mounts of one origin. */
interface OriginIndex {
  /** Before the first slash. */
  readonly root: PathNode
  /** Some mounted path has percent-encoding, whose case does not matter. */
  readonly escapes: boolean
}

type CatchAlls = Readonly<Record<'http' | 'https', Route | null>>

/** Throws where a mount is no URL prefix or is taken; config/ has refused both before. */
export function createRoutes(adapters: readonly AdapterPolicy[], ceilings: Ceilings, caBundles: ReadonlySet<string>): Routes {
  const mounted = readMounts(adapters)
  const catchAlls: CatchAlls = { http: catchAll(mounted, 'http'), https: catchAll(mounted, 'https') }
  const byOrigin = Map.groupBy(mounted, ({ mount }) => mount.origin)
  const origins = new Map<string, OriginIndex>()
  for (const [origin, mounts] of byOrigin) if (origin !== null) origins.set(origin, indexOrigin(mounts, catchAlls))
  return {
    ceilings,
    caBundles,
    find(url) {
      const index = origins.get(url.origin)
      if (index === undefined) return catchAlls[url.scheme]
      const path = index.escapes && url.path.includes('%') ? upperCaseEscapes(url.path) : url.path
      return findPath(index.root, path) ?? catchAlls[url.scheme]
    },
  }
}

function readMounts(adapters: readonly AdapterPolicy[]): Mounted[] {
  const taken = new Map<string, string>()
  return adapters.map((adapter) => {
    const parsed = parseMount(adapter.mount)
    if (!parsed.ok) throw new Error(`The mount of adapter ${adapter.name} ${parsed.fault}.`)
    const { mount } = parsed
    const owner = taken.get(mount.text)
    if (owner !== undefined) throw new Error(`Adapters ${owner} and ${adapter.name} are both mounted on ${mount.text}.`)
    taken.set(mount.text, adapter.name)
    return { adapter, mount }
  })
}

function catchAll(mounted: readonly Mounted[], scheme: 'http' | 'https'): Route | null {
  const found = mounted.find(({ mount }) => mount.origin === null && mount.scheme === scheme)
  return found
    ? { adapter: found.adapter, because: `no other adapter is mounted there; ${scheme}:// takes the rest`, matching: 1 }
    : null
}

const createNode = (): PathNode => ({ exact: null, below: null, children: new Map() })

/** Shorter paths first, so that each finds those that match with it in place already. */
function indexOrigin(mounts: readonly Mounted[], catchAlls: CatchAlls): OriginIndex {
  const root = createNode()
  for (const { adapter, mount } of mounts.toSorted((a, b) => a.mount.path.length - b.mount.path.length)) {
    const shorter = findPath(root, mount.path) ?? catchAlls[mount.scheme]
    const matching = (shorter?.matching ?? 0) + 1
    const because =
      matching === 1 ? `the only prefix that matches is ${mount.text}` : `longest prefix ${mount.text} of ${matching} that match`
    insert(root, mount.path, { adapter, because, matching })
  }
  return { root, escapes: mounts.some(({ mount }) => mount.path.includes('%')) }
}

function insert(root: PathNode, path: string, route: Route): void {
  const segments = path.slice(1).split('/')
  const slash = segments.at(-1) === ''
  let node = root
  for (const segment of slash ? segments.slice(0, -1) : segments) {
    const child = node.children.get(segment) ?? createNode()
    node.children.set(segment, child)
    node = child
  }
  if (slash) node.below = route
  else node.exact = route
}

/** `path` begins with a slash and has neither `?` nor `#`: its end and `/` are the boundaries that are left. */
function findPath(root: PathNode, path: string): Route | null {
  let longest = root.below
  let node = root
  for (let start = 1; start <= path.length; ) {
    const slash = path.indexOf('/', start)
    const end = slash < 0 ? path.length : slash
    const child = node.children.get(path.slice(start, end))
    if (child === undefined) break
    longest = (slash < 0 ? null : child.below) ?? child.exact ?? longest
    node = child
    start = end + 1
  }
  return longest
}
