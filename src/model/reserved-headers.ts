// Headers that belong to one connection or to the gateway, and that nobody writes by hand. contract: "Refused (`InvalidHeader`)".

const RESERVED: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'te',
  'trailer',
  'expect',
])

/** `Host` is none of them: an adapter may open it. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase()
  return RESERVED.has(lower) || lower.startsWith('proxy-')
}
