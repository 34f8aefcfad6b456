// RFC 6749 §4.4: the client's own name and secret for an access token, sent as RFC 6750 §2.1 has it.
import type { TokenRequest } from '../../model/credential-scheme.ts'
import { defineScheme, oneOf, plainText } from '../scheme.ts'
import { openTokenCredential } from '../token.ts'
import { audience, extraParams, formOf, scope, tokenUrl } from '../token-fields.ts'

export const oauth2ClientCredentials = defineScheme({
  name: 'oauth2-client-credentials',
  place: 'request',
  fields: {
    tokenUrl,
    clientId: plainText.min(1, 'must not be empty'),
    clientSecret: plainText.min(1, 'must not be empty'),
    clientAuth: oneOf('basic', 'body'),
    scope,
    audience,
    params: extraParams('client_id', 'client_secret', 'scope', 'audience'),
  },
  open({ tokenUrl: url, clientId, clientSecret, clientAuth, scope, audience, params }) {
    const inBody = clientAuth === 'body'
    const own = inBody ? { client_id: clientId, client_secret: clientSecret } : {}
    const request: TokenRequest = {
      url,
      form: formOf({ grant_type: 'client_credentials', ...own, scope, audience }, params),
      basic: inBody ? null : { username: formEncoded(clientId), password: formEncoded(clientSecret) },
    }
    return openTokenCredential(() => request)
  },
})

/** RFC 6749 §2.3.1: both are form-encoded before they become Basic. */
const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
