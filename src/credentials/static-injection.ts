// For schemes whose injection is the same for every request.
import type { Injection, OpenCredential } from '../model/credential-scheme.ts'
import { cleanUrlHeaders, maskInUrl } from './url-echo.ts'

export function staticHeader(name: string, value: string, masked: string): OpenCredential {
  return always({ headers: [{ name, value, masked }], query: null })
}

export function staticQuery(name: string, value: string): OpenCredential {
  return {
    ...always({ headers: [], query: { name, value } }),
    cleanHeaders: (rawHeaders) =>
      cleanUrlHeaders(rawHeaders, (url, header) => (header === 'set-cookie' ? url : maskInUrl(url, [value]))),
  }
}

function always(injection: Injection): OpenCredential {
  return { inject: () => injection, dialogue: null }
}
