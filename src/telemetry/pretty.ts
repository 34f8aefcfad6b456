// Log lines for a person at a terminal, each still one line; loaded where there is one, and only then.

/** One JSON line in, what is shown of it out. */
export type Pretty = (line: string) => string

/** Default of `colorize`: true. */
export async function loadPretty({ colorize } = { colorize: true }): Promise<Pretty> {
  const { prettyFactory } = await import('pino-pretty')
  return prettyFactory({
    ...{ messageKey: 'event', translateTime: 'SYS:HH:MM:ss.l', colorize },
    // All fields stand in the text; the library would put each on a line, or some of them in front.
    ...{ hideObject: true, ignore: 'caller,name,pid,hostname', messageFormat: textOf },
  })
}

type Line = Readonly<Record<string, unknown>>

/** `call GET https://api.example/ 200 in 12 ms caller=billing adapter=up …`, or `breaker moved adapter=up …`. */
function textOf(line: Line): string {
  const { level: _, time: __, event, ...fields } = line
  if (event !== 'call') return [event, ...pairsOf(fields)].join(' ')
  const { method, url, status, error, durationMs, ...rest } = fields
  const outcome = [status, error].filter((known) => known !== null).join(' ')
  return ['call', method ?? '-', url ?? '-', outcome, `in ${Math.round(Number(durationMs))} ms`, ...pairsOf(rest, 0)].join(' ')
}

/** What there is nothing of is left out; `usual`: a value that says nothing either. */
function pairsOf(fields: Line, usual: unknown = null): string[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== null && value !== usual)
    .map(([name, value]) => `${name}=${/^[^\s"=]+$/.test(String(value)) ? value : JSON.stringify(value)}`)
}
