// An API key in the URL's query; it replaces a parameter of that name.
import { anyText, defineScheme } from '../scheme.ts'
import { staticQuery } from '../static-injection.ts'

export const query = defineScheme({
  name: 'query',
  place: 'request',
  fields: { name: anyText.min(1, 'must not be empty'), value: anyText },
  open: ({ name, value }) => staticQuery(name, value),
})
