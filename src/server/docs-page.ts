// The page at /docs: Swagger UI from our own disk, under a policy that lets it talk to nobody but this gateway.
import { fileURLToPath } from 'node:url'

/** Scripts, styles and requests from here alone; data: images because the viewer's style sheet has its icons in it. */
export const DOCS_HEADERS: readonly string[] = [
  ...[
    'Content-Security-Policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ],
  ...['X-Content-Type-Options', 'nosniff'],
  ...['X-Frame-Options', 'DENY'],
  ...['Referrer-Policy', 'no-referrer'],
  ...['Cross-Origin-Opener-Policy', 'same-origin'],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
]

export const DOCS_HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sallyport API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<noscript>This page needs JavaScript; the document it shows is /openapi.json.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

/** validatorUrl: null keeps the viewer from sending the document's address to a public validator. */
export const DOCS_SCRIPT = `window.SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  validatorUrl: null,
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 1,
})
`

/** Name under /docs → file on disk. */
export function docsAssets(): ReadonlyMap<string, string> {
  return new Map([
    ['swagger-ui.css', fileURLToPath(import.meta.resolve('@fastify/swagger-ui/static/swagger-ui.css'))],
    ['swagger-ui-bundle.js', fileURLToPath(import.meta.resolve('@fastify/swagger-ui/static/swagger-ui-bundle.js'))],
  ])
}
