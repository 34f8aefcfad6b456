// The trail as it is written: from its end, or from where somebody stopped, block by block, on into new files, until it is told to
// stop. Reads whole blocks only and never the same one twice.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { listFiles, type TrailFile } from './file-names.ts'
import { openTrailFile, type ReadBlock, readBlocks } from './read-blocks.ts'

/** Bytes of a file that are behind us. */
export type Positions = Map<string, number>

/** Where every file ends now, so that following from there tells of what is new. */
export async function endOfTrail(folder: string): Promise<Positions> {
  const positions: Positions = new Map()
  for (const file of existsSync(folder) ? listFiles(folder) : []) {
    const reader = await openTrailFile(folder, file)
    try {
      positions.set(file.name, await reader.size())
    } finally {
      await reader.close()
    }
  }
  return positions
}

export interface FollowedBlock extends ReadBlock {
  readonly file: TrailFile
}

/** `positions` moves along. Ends when `signal` aborts; looks again each `everyMs`. */
export async function* followTrail(
  folder: string,
  positions: Positions,
  { signal, everyMs }: { readonly signal: AbortSignal; readonly everyMs: number },
): AsyncGenerator<FollowedBlock> {
  while (!signal.aborted) {
    for (const file of existsSync(folder) ? listFiles(folder) : []) {
      const reader = await openTrailFile(folder, file)
      try {
        for await (const block of readBlocks(reader, positions.get(file.name) ?? 0)) {
          positions.set(file.name, block.end)
          yield { ...block, file }
          if (signal.aborted) return
        }
      } finally {
        await reader.close()
      }
    }
    await sleep(everyMs, undefined, { signal }).catch(() => {})
  }
}
