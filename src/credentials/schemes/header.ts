// An API key in a header of the upstream's own choosing.
import { defineScheme, headerName, headerValue } from '../scheme.ts'
import { staticHeader } from '../static-injection.ts'

export const header = defineScheme({
  name: 'header',
  place: 'request',
  about: 'that header',
  example: { name: 'X-Api-Key', value: '…' },
  fields: { name: headerName, value: headerValue },
  open: ({ name, value }) => staticHeader(name, value, '***'),
})
