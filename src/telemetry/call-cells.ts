// What is counted at every call and every try: cells found by small numbers, one set an adapter and one a caller.
import { CATALOGUE, type ErrorType } from '../errors/catalogue.ts'
import type { WaitReason } from '../model/envelope.ts'
import type { CallDeed, Meter } from '../model/ports.ts'
import type { CounterCell, Family, HistogramCell, Labels } from './cells.ts'
import type { Exposition } from './exposition.ts'
import { SERIES } from './series.ts'

export interface CallCells extends Pick<Meter, 'callEnded' | 'attemptEnded' | 'waited' | 'connected' | 'insecure'> {
  /** The name itself, or `other` where there are too many. */
  adapterLabel(adapter: string | null): string
  /** Callers that are configured; any other counts as `other`. */
  nameCallers(names: readonly string[]): void
}

/** Small numbers stand for label sets, so that finding a cell at every call makes no text. */
type CellsByNumber = Map<number, CounterCell>

interface AdapterCells {
  readonly label: string
  readonly calls: CellsByNumber
  readonly attempts: CellsByNumber
  readonly refusals: Map<string, CounterCell>
  readonly waits: Map<WaitReason, HistogramCell>
  readonly callSeconds: HistogramCell
  readonly attemptSeconds: HistogramCell
  readonly connectSeconds: HistogramCell
  readonly bytesOut: CounterCell
  readonly bytesIn: CounterCell
  readonly reuses: CounterCell
  readonly replays: CounterCell
  readonly insecure: CounterCell
}

interface CallerCells {
  readonly calls: Readonly<Record<CallDeed['fault'], CounterCell>>
  readonly seconds: CounterCell
  readonly bytes: CounterCell
}

const ENTRANCES = ['other', 'requests', 'batch', 'prepare', 'token', 'admin'] as const
const ENTRANCE_NUMBERS: ReadonlyMap<string, number> = new Map(ENTRANCES.map((name, number) => [name, number]))
const STATUSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx', 'other'] as const
const ERROR_NUMBERS: ReadonlyMap<ErrorType | null, number> = new Map(
  [null, ...(Object.keys(CATALOGUE) as ErrorType[])].map((type, number) => [type, number]),
)
const FAULT_NUMBERS = { none: 0, caller: 1, upstream: 2, gateway: 3 } as const
const BECAUSE: Readonly<Record<WaitReason, string>> = {
  queue: 'queue',
  'rate limit': 'rate-limit',
  backoff: 'backoff',
  'Retry-After': 'retry-after',
  'renewed credential': 'credential',
}
/** Callers that no configuration names. */
const OWN_CALLERS = ['local', '(credentials)']

function statusNumber(status: number | null): number {
  if (status === null) return 0
  return status >= 100 && status < 600 ? Math.floor(status / 100) : 6
}

const statusLabel = (status: number | null): string => STATUSES[statusNumber(status)] ?? 'other'

/** `maxNames`: distinct adapters, and distinct callers, kept apart. */
export function createCallCells(exposition: Exposition, maxNames: number): CallCells {
  const families = openFamilies(exposition)
  const ownSeconds = exposition.histogramCells(SERIES.callOwnSeconds).cell({})
  const adapters = new Map<string, AdapterCells>()
  const callers = new Map<string, CallerCells>()
  let known: ReadonlySet<string> = new Set(OWN_CALLERS)

  /** Past the limit all share the cells of `other`. */
  const bounded = <Cells>(cells: Map<string, Cells>, name: string, make: (label: string) => Cells): Cells => {
    const found = cells.get(name)
    if (found !== undefined) return found
    if (name !== 'other' && cells.size >= maxNames) return bounded(cells, 'other', make)
    const made = make(name)
    cells.set(name, made)
    return made
  }
  const ofAdapter = (adapter: string | null): AdapterCells =>
    bounded(adapters, adapter ?? 'none', (label) => adapterCells(label, families))
  const ofCaller = (caller: string | null): CallerCells =>
    bounded(callers, caller === null ? 'none' : known.has(caller) ? caller : 'other', (label) => callerCells(label, families))

  return {
    adapterLabel: (adapter) => ofAdapter(adapter).label,
    nameCallers(names) {
      known = new Set([...OWN_CALLERS, ...names])
    },
    callEnded(call) {
      const cells = ofAdapter(call.adapter)
      countCall(call, cells, families)
      if (call.seconds !== null) cells.callSeconds.observe(call.seconds, call.traceId)
      if (call.ownSeconds !== null) ownSeconds.observe(call.ownSeconds, call.traceId)
      cells.bytesOut.add(call.bytesOut)
      cells.bytesIn.add(call.bytesIn)
      if (call.replayed) cells.replays.add(1)
      const caller = ofCaller(call.caller)
      caller.calls[call.fault].add(1)
      caller.seconds.add(call.seconds ?? 0)
      caller.bytes.add(call.bytesIn)
    },
    attemptEnded({ adapter, status, error, seconds, reused }) {
      const cells = ofAdapter(adapter)
      const key = statusNumber(status) * ERROR_NUMBERS.size + (ERROR_NUMBERS.get(error) ?? 0)
      const labels = () => ({ adapter: cells.label, status: statusLabel(status), error: error ?? 'none' })
      found(cells.attempts, key, families.attempts, labels).add(1)
      cells.attemptSeconds.observe(seconds)
      if (reused) cells.reuses.add(1)
    },
    waited(adapter, because, seconds) {
      const cells = ofAdapter(adapter)
      found(cells.waits, because, families.waitSeconds, () => ({ adapter: cells.label, because: BECAUSE[because] })).observe(
        seconds,
      )
    },
    connected: (adapter, seconds) => ofAdapter(adapter).connectSeconds.observe(seconds),
    insecure: (adapter) => ofAdapter(adapter).insecure.add(1),
  }
}

function countCall({ entrance, status, error, fault, rule }: CallDeed, cells: AdapterCells, families: Families): void {
  const adapter = cells.label
  const at = ENTRANCE_NUMBERS.get(entrance) ?? 0
  const outcome = (at * STATUSES.length + statusNumber(status)) * ERROR_NUMBERS.size + (ERROR_NUMBERS.get(error) ?? 0)
  const labels = () => ({
    entrance: ENTRANCES[at] ?? 'other',
    adapter,
    status: statusLabel(status),
    error: error ?? 'none',
    fault,
  })
  found(cells.calls, outcome * 4 + FAULT_NUMBERS[fault], families.calls, labels).add(1)
  if (rule === null || error === null) return
  found(cells.refusals, `${rule} ${error}`, families.refusals, () => ({ adapter, rule, type: error })).add(1)
}

function found<Key, Cell>(cells: Map<Key, Cell>, key: Key, family: Family<Cell>, labels: () => Labels): Cell {
  const known = cells.get(key)
  if (known !== undefined) return known
  const cell = family.cell(labels())
  cells.set(key, cell)
  return cell
}

type Families = ReturnType<typeof openFamilies>

function openFamilies({ counterCells, histogramCells }: Exposition) {
  return {
    calls: counterCells(SERIES.calls),
    callSeconds: histogramCells(SERIES.callSeconds),
    waitSeconds: histogramCells(SERIES.waitSeconds),
    refusals: counterCells(SERIES.refusals),
    callerCalls: counterCells(SERIES.callerCalls),
    callerSeconds: counterCells(SERIES.callerSeconds),
    callerBytes: counterCells(SERIES.callerBytes),
    replays: counterCells(SERIES.replays),
    bytesOut: counterCells(SERIES.bytesOut),
    bytesIn: counterCells(SERIES.bytesIn),
    attempts: counterCells(SERIES.attempts),
    attemptSeconds: histogramCells(SERIES.attemptSeconds),
    connectSeconds: histogramCells(SERIES.connectSeconds),
    reuses: counterCells(SERIES.reuses),
    insecure: counterCells(SERIES.insecure),
  }
}

function adapterCells(adapter: string, families: Families): AdapterCells {
  const labels = { adapter }
  return {
    label: adapter,
    calls: new Map(),
    attempts: new Map(),
    refusals: new Map(),
    waits: new Map(),
    callSeconds: families.callSeconds.cell(labels),
    attemptSeconds: families.attemptSeconds.cell(labels),
    connectSeconds: families.connectSeconds.cell(labels),
    bytesOut: families.bytesOut.cell(labels),
    bytesIn: families.bytesIn.cell(labels),
    reuses: families.reuses.cell(labels),
    replays: families.replays.cell(labels),
    insecure: families.insecure.cell(labels),
  }
}

function callerCells(caller: string, families: Families): CallerCells {
  const calls = (fault: CallDeed['fault']): CounterCell => families.callerCalls.cell({ caller, fault })
  return {
    calls: { none: calls('none'), caller: calls('caller'), upstream: calls('upstream'), gateway: calls('gateway') },
    seconds: families.callerSeconds.cell({ caller }),
    bytes: families.callerBytes.cell({ caller }),
  }
}
