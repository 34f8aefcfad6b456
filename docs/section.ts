// The part of a page that is written by `npm run docs`, between two marks; the rest of the page is by hand.

/** The page with what stands between its marks written anew. Throws where it has no such marks. */
export function withSection(page: string, mark: string, lines: readonly string[]): string {
  const [begin, end] = [`<!-- ${mark}: written by \`npm run docs\` -->`, `<!-- end of ${mark} -->`]
  const [before, after] = [page.indexOf(begin), page.indexOf(end)]
  if (before < 0 || after < before) throw new Error(`the marks of "${mark}" are missing`)
  return [page.slice(0, before), begin, '\n', lines.join('\n'), '\n', page.slice(after)].join('')
}
