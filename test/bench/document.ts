// What the benchmark's upstreams answer.

/** A JSON document of about so many bytes. */
export function documentOf(bytes: number): Buffer {
  const rows: { id: number; name: string; active: boolean; score: number }[] = []
  for (let size = 20; size < bytes; size += 62)
    rows.push({ id: rows.length, name: `item number ${rows.length}`, active: true, score: 1.5 })
  return Buffer.from(JSON.stringify({ rows }))
}
