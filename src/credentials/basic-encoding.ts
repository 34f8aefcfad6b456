// user-pass of RFC 7617, as Requests encodes it: latin-1 where both fit, else UTF-8.

export function basicCredentials(username: string, password: string): string {
  const pair = `${username}:${password}`
  return `Basic ${Buffer.from(pair, isLatin1(pair) ? 'latin1' : 'utf8').toString('base64')}`
}

export function isLatin1(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0xff) return false
  return true
}
