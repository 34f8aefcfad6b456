// Whether a worker still answers. One that was stopped or hangs in a loop does not end by itself, and whoever it serves would wait for
// nothing. Rounds are counted rather than time: where the whole machine stood still, nobody is to blame.

/** Of a question each half second: for some 10 s. A blocked event loop comes to a second at the very worst. */
const MOST_MISSED = 20

/** Each `beat` asks, unless an answer is still awaited; `dead` is called once where it is awaited for 20 beats in a row. */
export function createPulse(ask: () => Promise<unknown>, dead: () => void): { beat(): void } {
  let awaited = false
  let missed = 0
  const settled = (): void => {
    awaited = false
    missed = 0
  }
  return {
    beat() {
      if (awaited && ++missed === MOST_MISSED) dead()
      if (awaited) return
      awaited = true
      ask().then(settled, settled)
    },
  }
}
