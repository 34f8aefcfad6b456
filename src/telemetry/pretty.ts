// Log lines for a person at a terminal; loaded where there is one, and only then.

/** One JSON line in, what is shown of it out. */
export type Pretty = (line: string) => string

/** Default of `colorize`: true. */
export async function loadPretty({ colorize } = { colorize: true }): Promise<Pretty> {
  const { prettyFactory } = await import('pino-pretty')
  return prettyFactory({ messageKey: 'event', translateTime: 'SYS:HH:MM:ss.l', colorize })
}
