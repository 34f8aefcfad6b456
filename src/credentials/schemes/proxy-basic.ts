// Basic credentials for an upstream proxy (RFC 9110 §11.7.2). Never part of a request to an upstream: the transport sends
// them with CONNECT.
import { basicCredentials } from '../basic-encoding.ts'
import { anyText, defineScheme } from '../scheme.ts'
import { staticHeader } from '../static-injection.ts'

export const proxyBasic = defineScheme({
  name: 'proxy-basic',
  place: 'proxy',
  about: "`Proxy-Authorization` toward an adapter's `proxy`, and nowhere else",
  example: { username: 'egress', password: '…' },
  fields: { username: anyText, password: anyText },
  open: ({ username, password }) => staticHeader('Proxy-Authorization', basicCredentials(username, password), 'Basic ***'),
})
