// A stored record, opened and held against how far its name had come.
import type { HighWater } from './high-water.ts'
import { SealError } from './key-ring.ts'
import type { OpenedRecord, Sealer } from './seal.ts'

/** Throws SealError, also where an older record than is known stands there. */
export function openKnown(sealer: Sealer, marks: Pick<HighWater, 'of'>, name: string, text: string): OpenedRecord {
  const record = sealer.open(name, text)
  const known = marks.of(name)
  if (record.revision < known)
    throw new SealError(`secret "${name}": it was rolled back to revision ${record.revision}; revision ${known} was there before`)
  return record
}
