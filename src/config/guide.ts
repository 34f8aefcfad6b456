// What docs/configuration.md says before its tables. Written by hand; its examples are loaded by a test.

export const GUIDE = `# Configuration

Generated from the code's own schema in \`src/config/\`; \`npm run docs\` writes it anew.

Sallyport reads one YAML file: \`npm start -- --config FILE\`, or the path in \`SALLYPORT_CONFIG\`. Without one it serves the sample of the
README. Every key has a built-in value but \`adapters\`, so a useful file is short.

## A first file

\`\`\`yaml
# yaml-language-server: $schema=schema.json
callers:
  - name: billing
    keys: ["\${BILLING_KEY}"]
    may:
      - { adapter: github, methods: [GET, POST], paths: ["/repos/**"] }

adapters:
  - name: github
    mount: https://api.github.com/
    headers: { Accept: application/vnd.github+json }
    limits: { rate: 5000/h }
\`\`\`

The service *billing* sends its key, and may call \`https://api.github.com/repos/…\` with GET and POST. Anything else is refused: another
path, another host, another caller. \`config/sallyport.example.yaml\` is longer and explains itself; \`config/schema.json\` lets an editor
complete and check what you type (its first line above says so to editors with the YAML language server).

## How it is read

- **Adapters.** A call goes through the adapter with the longest \`mount\` that is a prefix of its URL, and only at a boundary: a mount on
  \`https://h/a\` takes \`https://h/a\`, \`https://h/a/b\` and \`https://h/a?x\`, but not \`https://h/ab\`. A mount ends at its path: no query, no
  user name. \`https://\` and \`http://\` take what no other adapter does; without them such a call is refused.
- **Defaults.** What an adapter leaves out comes from \`defaults\`, key by key, and what \`defaults\` leaves out is built in. What loosens a
  safety rule can only be said in an adapter.
- **Ceilings.** \`ceilings\` bounds adapters and callers alike. A descriptor that asks for more is cut down to it, with a warning in its answer.
- **Switching off.** \`off\` and \`false\` both switch a policy off: \`breaker: off\`, \`redirects: off\`, \`retry: { budget: off }\`.
- **A folder of adapters.** \`adapters: ./adapters\` names a folder; each \`*.yaml\` in it holds the keys of one adapter, without a list.
- **Paths** are relative to the folder of the file that names them, but \`dataDir\` to the working directory.
- **Callers.** Without any, the gateway serves this machine alone, and refuses to start on another address than loopback. Of a key only its
  SHA-256 is kept in memory; \`keys: [{ sha256: … }]\` keeps it out of the environment too (\`printf %s "$KEY" | sha256sum\`).

| to write | write |
|---|---|
| a duration | \`250ms\`, \`3.05s\`, \`2m\`, \`24h\`; a bare number is milliseconds |
| a size | \`64KiB\`, \`10MiB\`, \`1GiB\` (1024), \`KB\`, \`MB\`, \`GB\` (1000); a bare number is bytes |
| a rate | \`100/s\`, \`600/m\`, \`5000/h\` |
| a share | \`20%\`, or \`0.2\` |
| a name | 1-64 letters, digits, \`.\`, \`_\`, \`-\`; a letter or digit first |

## Variables

\`\${NAME}\` stands for an environment variable, \`\${NAME:-value}\` for a variable or, where it is unset or empty, the value, and \`$\${\` for the
characters \`\${\`. A variable that is not set is refused by name. They work in values, not in keys, and after the YAML was read: whatever a
variable holds, it stays one value. Numbers and switches may come from variables too: \`port: \${PORT:-8080}\`.

## When something is wrong

The gateway does not start, or keeps what it had when it reloads (SIGHUP, a changed file), and says everything that is wrong at once:

\`\`\`
The configuration has 2 faults:
  sallyport.yaml:9:13
    adapters[0].retry.totl is an unknown key; did you mean total?
  sallyport.yaml:12:18
    adapters[1].credentials would send crm-login over plain http; mount https://, or say allowPlaintextSecrets: true
\`\`\`

First each key is judged for itself, then what they mean together. Refused are, among others: two adapters with one name or on one mount; a
secret over plain http without \`allowPlaintextSecrets\`; \`tls.verify: false\` beside a secret without \`tls.allowInsecureSecrets\`; a value over its
ceiling; without HTTP/2 more \`limits.concurrency\` than \`pool.connections\`; a CA bundle or an adapter that does not exist; an address other
than loopback without callers. What is allowed but deserves a look is a warning in the log.
`
