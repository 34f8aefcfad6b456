// How far V8 lets the heap grow.
import { setFlagsFromString } from 'node:v8'

/**
 * What waits for an upstream outlives a few scavenges and ends as garbage of the old generation, which V8 lets grow to four times
 * of what is alive before it collects; here to twice. Before anything else is loaded, since compiled code is found again only
 * under the flags that it was compiled with.
 */
export function boundOldGeneration(): void {
  setFlagsFromString('--heap-growing-percent=100')
}
