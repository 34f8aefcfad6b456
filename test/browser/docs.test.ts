// The documentation page in a real browser (Debian's Chromium): it shows the interface, complains of nothing, asks nobody else,
// and a call can be made from it.
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type Browser, chromium } from 'playwright-core'
import { startGateway, type TestGateway } from '../support/gateway.ts'

describe('/docs', () => {
  let upstream: Server
  let gateway: TestGateway
  let browser: Browser

  before(async () => {
    upstream = createServer((_request, response) =>
      response.setHeader('content-type', 'application/json').end('{"from":"upstream"}'),
    )
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const { port } = upstream.address() as { port: number }
    gateway = await startGateway({
      adapters: [{ name: 'local', mount: `http://127.0.0.1:${port}/`, egress: { allow: ['127.0.0.0/8'] } }],
    })
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    })
  })

  after(async () => {
    await browser?.close()
    await gateway?.stop()
    upstream?.close()
  })

  async function open() {
    const page = await browser.newPage()
    const complaints: string[] = []
    const asked = new Set<string>()
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => asked.add(new URL(request.url()).origin))
    await page.goto(`${gateway.url}/docs`)
    await page.getByText('/v1/requests').first().waitFor()
    return { page, complaints, asked }
  }

  test('shows every entrance, without an error, a warning or a request to elsewhere', async () => {
    const { page, complaints, asked } = await open()
    const shown = await page.locator('.opblock-summary-path').allInnerTexts()
    const document = (await gateway.get('/openapi.json')).envelope as { paths: Record<string, object> }
    const entrances = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map(() => path))
    assert.deepEqual(shown.map((path) => path.replaceAll('\u200b', '')).sort(), entrances.sort())
    assert.equal(await page.locator('.errors-wrapper, .warning').count(), 0)
    assert.deepEqual(complaints, [])
    assert.deepEqual(
      [...asked].filter((origin) => origin !== gateway.url && origin !== 'null'),
      [],
    )
  })

  test('a call can be made from it', async () => {
    const { page } = await open()
    const { port } = upstream.address() as { port: number }
    await page.getByText('/v1/requests').first().click()
    await page.getByRole('button', { name: 'Try it out' }).first().click()
    await page
      .locator('textarea.body-param__text')
      .first()
      .fill(JSON.stringify({ url: `http://127.0.0.1:${port}/` }))
    await page.getByRole('button', { name: 'Execute' }).first().click()
    await page.locator('.live-responses-table').getByText('upstream').first().waitFor()
  })
})
