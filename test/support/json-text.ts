// Texts that are JSON, or nearly.
import fc from 'fast-check'

// biome-ignore format: a list of words
const TOKENS = ['{', '}', '[', ']', ',', ':', '"a"', '"\\u0041"', '"\\', '1', '-', '.5', 'e3', '0', 'true', 'null', ' ', '\t', 'NaN']

/** Up to 12 tokens of JSON, or of what is taken for it, in any order. */
export const someTokens = fc.array(fc.constantFrom(...TOKENS), { maxLength: 12 }).map((tokens) => tokens.join(''))
