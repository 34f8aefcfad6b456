// Templates of the scheme hmac: text with `{placeholders}`, read once when a secret is opened. `{{` is a brace; `\n` a line
// end and `\\` a backslash, so that a template fits on one line. What a placeholder stands for is the scheme's affair.

export type Piece<P extends string> = { readonly text: string } | { readonly placeholder: P }

const PIECE = /\\n|\\\\|\{\{|\{([A-Za-z]+)\}|[^\\{]+|[\\{]/g
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\\\': '\\', '{{': '{' }

/** A string is a fault, to follow the name of the template. */
export function parseTemplate<P extends string>(template: string, known: readonly P[]): readonly Piece<P>[] | string {
  const pieces: Piece<P>[] = []
  for (const [whole, name] of template.matchAll(PIECE)) {
    const placeholder = known.find((word) => word === name)
    if (placeholder !== undefined) pieces.push({ placeholder })
    else if (name !== undefined || whole === '{' || whole === '\\') return fault(known)
    else pieces.push({ text: ESCAPES[whole] ?? whole })
  }
  return pieces
}

/** Does not repeat what was written: it may be a part of the secret in the wrong field. */
const fault = (known: readonly string[]): string =>
  `takes the placeholders ${known.map((name) => `{${name}}`).join(' ')}; write "{{" for a brace, "\\n" for a line end, "\\\\" for a backslash`
