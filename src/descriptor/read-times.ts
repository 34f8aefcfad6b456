// `timeout` and `maxRetries`: each is one value or a record.
import type { JsonNode } from '../json/parse-json.ts'
import type { Descriptor, RetryAsk } from '../model/descriptor.ts'
import { DURATION_HINT } from '../model/units.ts'
import type { Faults } from './faults.ts'
import { child, isList, isObject, readRecord, readValue } from './read-node.ts'
import { retryCountSchema, retrySchema, timeoutDurationSchema, timeoutPartsSchema } from './schema.ts'

type Timeout = Descriptor['timeout']

/** Under this, a timeout was probably meant in seconds. */
const SHORT_MS = 50

/** One value is connect and read, a pair is (connect, read) as in Requests; null within is the adapter's own. */
export function readTimeout(node: JsonNode, pointer: string, faults: Faults): Timeout {
  if (isObject(node)) return (readRecord(timeoutPartsSchema, node, pointer, faults) ?? {}) as Timeout
  if (!isList(node)) {
    const both = readValue(timeoutDurationSchema, node, pointer, faults)
    return both === undefined ? {} : { connect: both, read: both }
  }
  if (node.length !== 2) {
    faults.add(pointer, 'must be a pair [connect, read], one value, or an object of connect, read and total')
    return {}
  }
  const [connect, read] = node.map((part, index) =>
    part === null ? undefined : readValue(timeoutDurationSchema, part, child(pointer, index), faults),
  )
  return { ...(connect === undefined ? {} : { connect }), ...(read === undefined ? {} : { read }) }
}

export function warnOfShortTimeouts(timeout: Timeout, warnings: string[]): void {
  const { connect = SHORT_MS, read = SHORT_MS, total = SHORT_MS } = timeout
  if (connect >= SHORT_MS && read >= SHORT_MS && total >= SHORT_MS) return
  const short = (['connect', 'read', 'total'] as const).filter((key) => (timeout[key] ?? SHORT_MS) < SHORT_MS)
  warnings.push(`${short.map((key) => `timeout.${key} is ${timeout[key]}`).join(', ')} ${DURATION_HINT}`)
}

/** A number is so many more tries for all reasons together: no reason is bounded apart, whatever the adapter says. */
export function readRetry(node: JsonNode, pointer: string, faults: Faults): RetryAsk | undefined {
  if (isObject(node)) return readRecord(retrySchema, node, pointer, faults) as RetryAsk | undefined
  const total = readValue(retryCountSchema, node, pointer, faults)
  return total === undefined ? undefined : { total, connect: total, read: total, status: total }
}
