// Starts the CDN page. Every file named in this page carries its hash, and the
// browser refuses one that differs. Modules are covered by the import map's
// `integrity`, CommonJS files (React is published as nothing else) by fetch's.
const wait = document.querySelector('.plimsoll-wait')
const data = (id) => JSON.parse(document.getElementById(id).textContent)

// The bare libraries ask which build they are.
globalThis.process = { env: { NODE_ENV: 'production' } }

const definitions = new Map()
const loaded = new Map()
globalThis.plimsollCommonJs = {
  define: (url, body) => definitions.set(url, body),
  require(url) {
    if (!loaded.has(url)) {
      const module = { exports: {} }
      // Before it runs: files may ask for one another in a circle.
      loaded.set(url, module)
      const { requires } = files[url]
      definitions.get(url)(module, module.exports, (name) => globalThis.plimsollCommonJs.require(requires[name]))
    }
    return loaded.get(url).exports
  },
}

const files = data('plimsoll-commonjs')

async function load(url) {
  const response = await fetch(url, { integrity: files[url].integrity, credentials: 'omit', referrerPolicy: 'no-referrer' })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  const body = await response.text()
  // A script of its own, so that no eval is needed.
  const source = `plimsollCommonJs.define(${JSON.stringify(url)}, function (module, exports, require) {\n${body}\n})`
  const blob = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  await new Promise((resolve, reject) => {
    const script = document.createElement('script')
    script.src = blob
    script.onload = resolve
    script.onerror = () => reject(new Error(`${url} did not run`))
    document.head.append(script)
  })
  URL.revokeObjectURL(blob)
}

/** Browsers that don't know `integrity` in import maps would load unchecked. */
async function browserChecks() {
  // The import map names a wrong hash for this module on purpose.
  return import('plimsoll/probe').then(
    () => false,
    () => true,
  )
}

try {
  if (!(await browserChecks())) {
    throw new Error('this browser does not check the hashes of modules; a current one does, or build web/ and the server needs no CDN')
  }
  await Promise.all(Object.keys(files).map(load))
  await import('plimsoll/workers')
  const { mount } = await import('plimsoll/page')
  mount(document.getElementById('plimsoll'), data('plimsoll-examples'))
} catch (error) {
  // The page's own modules are data: URLs, whose text would fill the screen.
  const reason = error.message.replace(/data:\S+/, 'the page, or something it imports; the console says what')
  wait.textContent = `GraphiQL could not be loaded from the CDN: ${reason}`
  throw error
}
