// An option that may be repeated. Not variadic: a stray word after `--caller` must not become a caller.

export function gather(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
