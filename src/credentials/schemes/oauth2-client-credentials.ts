// RFC 6749 §4.4: the client's own name and secret for an access token, sent as RFC 6750 §2.1 has it.
import type { TokenRequest } from '../../model/credential-scheme.ts'
import { renewByAsking } from '../renew-by-asking.ts'
import { defineScheme, oneOf, plainText } from '../scheme.ts'
import { openTokenCredential } from '../token.ts'
import { audience, clientAuthentication, extraParams, formOf, scope, tokenUrl } from '../token-fields.ts'

export const oauth2ClientCredentials = defineScheme({
  name: 'oauth2-client-credentials',
  place: 'request',
  about: 'an access token of RFC 6749 §4.4, as `Authorization: Bearer`',
  example: { tokenUrl: 'https://login.crm.example/oauth/token', clientId: 'billing', clientSecret: '…', scope: 'read' },
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
    const { own, basic } = clientAuthentication({ clientId, clientSecret, clientAuth })
    const request: TokenRequest = {
      url,
      form: formOf({ grant_type: 'client_credentials', ...own, scope, audience }, params),
      basic,
    }
    return openTokenCredential(
      'oauth2-client-credentials',
      renewByAsking(() => request),
    )
  },
})
