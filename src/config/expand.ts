// `${VAR}`, `${VAR:-default}` and `$${` in one piece of text. Works on values after parsing, so that what a variable holds
// can never become YAML.

export type Expansion = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly fault: string }

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const FORM = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

/** A variable that is set but empty counts as set in `${VAR}` and as unset in `${VAR:-default}`, as in a shell. */
export function expandVariables(text: string, env: Readonly<Record<string, string | undefined>>): Expansion {
  if (!text.includes('${')) return { ok: true, text }
  const faults: string[] = []
  const expanded = text.replace(REFERENCE, (whole, inside: string | undefined, end: string | undefined) => {
    if (inside === undefined) return '${'
    const form = end === '}' ? FORM.exec(inside) : null
    const variable = form?.[1]
    if (variable === undefined) {
      faults.push(
        `${whole.slice(0, 40)} is no variable; write \${NAME}, \${NAME:-default}, or $\${ for the characters themselves`,
      )
      return ''
    }
    const value = Object.hasOwn(env, variable) ? env[variable] : undefined
    const fallback = form?.[2]
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
    if (value === undefined) {
      faults.push(`the environment variable ${variable} is not set; set it, or write \${${variable}:-default}`)
    }
    return value ?? ''
  })
  return faults.length === 0 ? { ok: true, text: expanded } : { ok: false, fault: faults.join('; ') }
}
