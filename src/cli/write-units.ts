// Durations, sizes and rows as a person reads them; units as they are written in a configuration.
import type { Rate } from '../model/adapter-policy.ts'

type Units = readonly (readonly [unit: string, worth: number])[]

const DURATIONS: Units = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]
const SIZES: Units = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
]

/** In the largest unit of which it is a whole number: 90000 is "90s". */
export function writeDuration(ms: number): string {
  return inUnits(ms, DURATIONS, 'ms')
}

export function writeSize(bytes: number): string {
  return inUnits(bytes, SIZES, 'B')
}

export function writeRate({ count, perMs, burst }: Rate): string {
  const unit = DURATIONS.find(([, worth]) => worth === perMs)?.[0] ?? `${perMs}ms`
  return `${count}/${unit}${burst === count ? '' : ` in bursts of up to ${burst}`}`
}

function inUnits(value: number, units: Units, smallest: string): string {
  const [unit, worth] = units.find(([, worth]) => value >= worth && value % worth === 0) ?? [smallest, 1]
  return `${value / worth}${unit}`
}

/** One line a row, each column as wide as its widest cell. */
export function writeRows(rows: readonly (readonly string[])[], indent = '  '): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows.map((row) => `${indent}${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd())
}
