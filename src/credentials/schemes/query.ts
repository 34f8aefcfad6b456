// An API key in the URL's query; it replaces a parameter of that name.
import { anyText, defineScheme } from '../scheme.ts'
import { staticQuery } from '../static-injection.ts'

export const query = defineScheme({
  name: 'query',
  place: 'request',
  about: 'that query parameter, in place of any of the same name',
  example: { name: 'api_key', value: '…' },
  fields: { name: anyText.min(1, 'must not be empty'), value: anyText },
  open: ({ name, value }) => staticQuery(name, value),
})
