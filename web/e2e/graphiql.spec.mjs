// Opens the served page in a real browser without any other network and uses it
// as a person would. Settings, all from the environment:
//   PLIMSOLL_URL    the server (http://127.0.0.1:8000)
//   PLIMSOLL_TOKEN  the token of a moderator or an administrator
//   CHROMIUM        the browser (/usr/bin/chromium)
//   SCREENSHOT      where to write a picture of the page, if anywhere
//   CDN             set it when the server has no built page and serves cdn.html: what
//                   that asks of the CDN is then answered out of node_modules
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { chromium } from 'playwright-core'

const origin = new URL(process.env.PLIMSOLL_URL ?? 'http://127.0.0.1:8000').origin
const token = process.env.PLIMSOLL_TOKEN
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Beneath the interception below: no name resolves, whoever asks.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE [::1]',
]

if (!token) {
  console.error('PLIMSOLL_TOKEN is not set: log in first, as web/README.md shows')
  process.exit(2)
}
// Whatever hangs, the run ends.
setTimeout(() => {
  console.error('the browser test took longer than three minutes')
  process.exit(1)
}, 180_000).unref()

/** What the CDN has at this address, if it is a file of an installed package. */
function installed({ origin, pathname }) {
  const [, name, version, file] = decodeURI(pathname).match(/^\/npm\/((?:@[^/]+\/)?[^/@]+)@([^/]+)\/(.+)$/) ?? []
  if (origin !== 'https://cdn.jsdelivr.net' || !name) return undefined
  const folder = Object.keys(lock).find((path) => path.endsWith(`node_modules/${name}`) && lock[path].version === version)
  const path = folder && new URL(`../${folder}/${file}`, import.meta.url)
  return path && existsSync(path) ? path : undefined
}
const fromCdn = Boolean(process.env.CDN)
const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url))).packages

const elsewhere = []
const complaints = []
let passed = 0

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
  timeout: 60_000,
})
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
context.setDefaultTimeout(20_000)
await context.route('**/*', (route) => {
  const url = new URL(route.request().url())
  if (url.origin === origin || ['data:', 'blob:'].includes(url.protocol)) return route.continue()
  const path = fromCdn && installed(url)
  if (path) {
    const contentType = path.pathname.endsWith('.css') ? 'text/css' : 'text/javascript'
    return route.fulfill({ body: readFileSync(path), contentType, headers: { 'access-control-allow-origin': '*' } })
  }
  elsewhere.push(url.href)
  return route.abort()
})
const page = await context.newPage()
page.on('websocket', (socket) => elsewhere.push(socket.url()))
page.on('pageerror', (error) => complaints.push(String(error)))
page.on('console', (message) => {
  // A refused token answers 401, which the browser reports by itself.
  const expected = message.location().url === `${origin}/graphql`
  // The CDN page asks for a file with a wrong hash, to see that hashes are checked.
  const probe = fromCdn && message.text().includes('integrity') && message.text().includes('must%20not%20load')
  if (message.type() === 'error' && !expected && !probe) complaints.push(message.text())
})
page.on('response', (response) => {
  const { pathname } = new URL(response.url())
  if (response.status() >= 400 && pathname !== '/graphql') complaints.push(`${response.status()} ${response.url()}`)
})

const editor = page.locator('.graphiql-query-editor .monaco-editor').first()
const result = page.locator('.graphiql-response .view-lines')
const who = page.locator('.plimsoll-who')

/** The text of an editor's visible lines; Monaco writes spaces that don't break. */
const textOf = async (locator) => (await locator.innerText()).replaceAll('\u00a0', ' ')

/** Waits until `read` answers with something that `fits`. */
async function until(what, read, fits, seconds = 20) {
  const end = Date.now() + seconds * 1000
  let last
  do {
    last = await read()
    if (fits(last)) return last
    await page.waitForTimeout(100)
  } while (Date.now() < end)
  assert.fail(`waited ${seconds} s for ${what}; last seen:\n${last}`)
}

/** Types an operation into a new tab, runs it, and answers with the result pane. */
async function run(operation, what, fits) {
  await page.getByRole('button', { name: 'New tab' }).click()
  await until('an empty result pane', () => textOf(result), (text) => text.trim() === '')
  await editor.click()
  await page.keyboard.insertText(operation)
  await until('the typed operation', () => textOf(editor.locator('.view-lines')), (text) => text.includes(operation.slice(0, 20)))
  await page.getByRole('button', { name: /^Execute query/ }).click()
  return until(what, () => textOf(result), fits)
}

const tests = {
  async 'the page opens and knows the schema'() {
    const response = await page.goto(`${origin}/graphiql`, { waitUntil: 'load' })
    assert.equal(response.status(), 200)
    await editor.waitFor()
    await page.getByRole('heading', { name: 'Plimsoll' }).waitFor()
    assert.equal(await who.innerText(), 'not signed in')
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click()
    await page.locator('.graphiql-plugin').getByText('Query', { exact: true }).first().waitFor()
    await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click()
  },

  async 'a query answers'() {
    await run('query OnePost { posts(first: 1) { totalCount nodes { title } } }', 'totalCount', (text) => /"totalCount": \d+/.test(text))
  },

  async 'the editors run in workers of this origin'() {
    if (fromCdn) return // its editors run on the main thread
    await until('a worker', () => page.workers().map((worker) => worker.url()), (urls) => urls.length > 0)
    for (const worker of page.workers()) assert.ok(worker.url().startsWith(`${origin}/graphiql/`), worker.url())
  },

  async 'a wrong token is told to be wrong'() {
    await page.getByLabel('Token').fill('not-a-token')
    await until('the refusal', () => who.innerText(), (text) => text === 'token not accepted')
  },

  async 'the right token signs in'() {
    await page.getByLabel('Token').fill(token)
    await until('the name', () => who.innerText(), (text) => /^signed in as .+/.test(text))
  },

  async 'a mutation with the token writes'() {
    const name = `tag-${randomUUID().slice(0, 8)}`
    const text = await run(
      `mutation NewTag { createTag(input: { name: "${name}" }) { tag { id name } errors { message } } }`,
      'the new tag',
      (text) => text.includes('"createTag"') || text.includes('"errors"'),
    )
    assert.match(text, new RegExp(`"name": "${name}"`))
    assert.match(text, /"errors": \[\]/)
  },

  async 'the token survives a reload'() {
    // GraphiQL keeps its tabs half a second after the last key.
    await page.waitForTimeout(1000)
    await page.reload({ waitUntil: 'load' })
    await editor.waitFor()
    await until('the name', () => who.innerText(), (text) => /^signed in as .+/.test(text))
  },

  async 'an example opens in a tab of its own and runs'() {
    const tabs = page.getByRole('tablist', { name: 'Select active operation' }).locator('.graphiql-tab')
    const before = await tabs.count()
    await page.getByRole('button', { name: 'Examples' }).click()
    const { width, height } = page.viewportSize()
    for (const item of await page.getByRole('menuitem').all()) {
      const box = await item.boundingBox()
      assert.ok(box.x + box.width <= width && box.y + box.height <= height, `${await item.innerText()} is out of sight`)
    }
    await page.getByRole('menuitem', { name: 'The newest posts' }).click()
    await until('one tab more', () => tabs.count(), (count) => count === before + 1)
    await until('the example', () => textOf(editor.locator('.view-lines')), (text) => text.includes('query NewestPosts'))
    await page.getByRole('button', { name: /^Execute query/ }).click()
    await until('the posts', () => textOf(result), (text) => /"totalCount": \d+/.test(text))
  },

  async 'nothing was asked of any other host, and nothing failed'() {
    assert.deepEqual(elsewhere, [])
    assert.deepEqual(complaints, [])
  },
}

let failed = 0
for (const [name, test] of Object.entries(tests)) {
  try {
    await test()
    passed += 1
    console.log(`ok      ${name}`)
  } catch (error) {
    failed += 1
    console.error(`FAILED  ${name}\n${error.message}\n`)
    // Without the page, the others would only wait.
    if (passed === 0) break
  }
}
if (process.env.SCREENSHOT) {
  await page.waitForTimeout(500)
  await page.screenshot({ path: process.env.SCREENSHOT })
}
await browser.close()
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
