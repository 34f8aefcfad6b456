// The body of `POST /v1/batch`: each item's own JSON text and how many may be under way at once. The items are descriptors
// that are parsed one by one later, each answering for its own faults.
import { splitJsonList } from '../json/parse-json.ts'
import { createFaults } from './faults.ts'
import { MAX_DEPTH, parseRoot } from './parse-descriptor.ts'
import { addUnknown, child, readValue } from './read-node.ts'
import { batchSchema, MAX_BATCH } from './schema.ts'

export interface Batch {
  /** In order; each shares memory with the body it came in. */
  readonly items: Buffer[]
  /** 1-64; default 8. */
  readonly concurrency: number
}

/** The batch and its list stand around each descriptor. */
const OPTIONS = { maxDepth: MAX_DEPTH + 2, rawMember: 'requests' }
const DEFAULT_CONCURRENCY = 8
const KEYS: readonly string[] = Object.keys(batchSchema.shape)

/** Throws InvalidDescriptor, or InvalidJSONError for NaN and Infinity: then no item is sent. */
export function parseBatch(bytes: Buffer): Batch {
  const faults = createFaults()
  let items: Buffer[] | null = null
  let concurrency = DEFAULT_CONCURRENCY
  let missing = true
  for (const [name, node] of parseRoot(bytes, OPTIONS, faults).members) {
    if (name === 'requests' && node !== null && typeof node === 'object' && 'kind' in node && node.kind === 'raw') {
      items = splitJsonList(node.bytes, MAX_DEPTH, MAX_BATCH)
      missing = false
    } else if (name === 'concurrency') {
      if (node !== null) concurrency = readValue(batchSchema.shape.concurrency, node, child('', name), faults) ?? concurrency
    } else addUnknown(name, KEYS, '', faults)
  }
  if (missing) faults.add('/requests', 'is missing: it is the list of descriptors')
  else if (items === null) faults.add('/requests', 'must be a list of descriptors')
  else if (items.length > MAX_BATCH)
    faults.add('/requests', `must not hold more than ${MAX_BATCH} descriptors; send several batches`)
  if (items === null || faults.any()) throw faults.toError()
  return { items, concurrency }
}
