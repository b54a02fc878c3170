// Writes cdn.html, the page that a binary built without web/dist serves: the
// same page, with GraphiQL and all it needs taken from a CDN.
//
// jsDelivr serves the files of npm packages as they were published, so the
// hashes of the installed files are the hashes of what it serves. The versions
// are the lock file's. Run `npm ci` first; `npm run cdn -- --check` writes
// nothing and fails when cdn.html is not what would be written.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { init, parse } from 'es-module-lexer'
import { readExamples } from '../src/examples.js'

process.env.NODE_ENV = 'production'
const web = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const CDN = 'https://cdn.jsdelivr.net/npm'
const read = (path) => readFileSync(join(web, path), 'utf8')
const lock = JSON.parse(read('package-lock.json')).packages
const requireHere = createRequire(import.meta.url)
await init

const sha384 = (bytes) => `sha384-${createHash('sha384').update(bytes).digest('base64')}`
const isFile = (path) => existsSync(path) && statSync(path).isFile()
const moduleUrl = (source) => `data:text/javascript,${encodeURIComponent(source)}`

// Which package a file belongs to, and where the CDN has it.

const manifests = new Map()

/** The package that owns `file`: its folder, manifest and address. */
function packageOf(file) {
  const parts = relative(web, file).split('/')
  const at = parts.lastIndexOf('node_modules')
  if (at < 0) throw new Error(`${file} belongs to no package`)
  const path = parts.slice(0, at + (parts[at + 1].startsWith('@') ? 3 : 2)).join('/')
  if (!manifests.has(path)) {
    const manifest = JSON.parse(read(`${path}/package.json`))
    if (lock[path]?.version !== manifest.version) {
      throw new Error(`${path} is not the version of the lock file: run npm ci`)
    }
    manifests.set(path, { folder: join(web, path), manifest, url: `${CDN}/${manifest.name}@${manifest.version}/` })
  }
  return manifests.get(path)
}

function urlOf(file) {
  const { folder, url } = packageOf(file)
  return url + relative(folder, file)
}

// How a name in an import or a require finds its file.

const ESM = ['import', 'module', 'browser', 'production', 'default']
const CJS = ['require', 'browser', 'production', 'default']

// Hundreds of small modules, or a few files that say the same.
const FEWER_AS_COMMONJS = new Set(['framer-motion'])

function conditional(target, conditions) {
  if (typeof target === 'string' || target == null) return target
  for (const [condition, inner] of Object.entries(target)) {
    if (conditions.includes(condition)) {
      const found = conditional(inner, conditions)
      if (found) return found
    }
  }
  return null
}

function exported(exports, subpath, conditions) {
  const table = typeof exports === 'string' || !Object.keys(exports)[0].startsWith('.') ? { '.': exports } : exports
  if (subpath in table) return conditional(table[subpath], conditions)
  for (const [pattern, target] of Object.entries(table)) {
    const [before, after] = pattern.split('*')
    if (after === undefined || !subpath.startsWith(before) || !subpath.endsWith(after)) continue
    const star = subpath.slice(before.length, subpath.length - after.length)
    return conditional(target, conditions)?.replaceAll('*', star)
  }
  return null
}

function fileOrFolder(path, conditions) {
  // An import of a CommonJS file takes the module beside it, where there is one.
  if (conditions === ESM && path.endsWith('.js') && isFile(path.replace(/\.js$/, '.mjs'))) return path.replace(/\.js$/, '.mjs')
  for (const ending of ['', '.js', '.mjs', '.cjs']) if (isFile(path + ending)) return path + ending
  if (isFile(join(path, 'package.json'))) {
    const { module, main } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'))
    return fileOrFolder(join(path, (conditions === ESM && module) || main || 'index.js'), conditions)
  }
  return isFile(join(path, 'index.js')) ? join(path, 'index.js') : null
}

function find(name, from, conditions) {
  if (name.startsWith('.')) return fileOrFolder(resolve(dirname(from), name), conditions)
  const [, packageName, rest] = name.match(/^((?:@[^/]+\/)?[^/]+)(.*)$/)
  for (let folder = dirname(from); folder.startsWith(web); folder = dirname(folder)) {
    const home = join(folder, 'node_modules', packageName)
    if (!existsSync(join(home, 'package.json'))) continue
    if (FEWER_AS_COMMONJS.has(packageName)) conditions = CJS
    const { exports } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
    if (!exports) return fileOrFolder(home + rest, conditions)
    const target = exported(exports, `.${rest}`, conditions)
    return target ? fileOrFolder(join(home, target), conditions) : null
  }
  return null
}

// The walk: everything the page can reach, from what it imports itself.

const modules = new Map() // file → its imports: [name, file or null]
const common = new Map() // file → {name: file}

const isModule = (file, source) => {
  if (file.endsWith('.mjs')) return true
  if (file.endsWith('.cjs')) return false
  const [imports, exports] = parse(source)
  const mentions = imports.some(({ type }) => type !== 'dynamic') || exports.length > 0
  // A file of types has neither imports nor exports left, and nothing to give.
  return mentions || !/\b(module\.exports|exports\.|require\()/.test(source)
}

// Asked for only by a page with subscriptions, which this one has not.
const NEVER = new Set(['graphql-ws'])
// Loaded only by Monaco's own workers, which this page does not start.
const EDITOR_WORKER = /^monaco-editor\/esm\/vs\/editor\/editor\.worker(\.js)?$/

function walk(file) {
  if (modules.has(file) || common.has(file) || file.endsWith('.css')) return
  const source = readFileSync(file, 'utf8')
  if (!isModule(file, source)) return walkCommon(file, source)
  const found = []
  modules.set(file, found)
  for (const { type, specifier: name, glob } of parse(source)[0]) {
    // Monaco imports by a computed name only where a service has no factory.
    if (type === 'import-meta' || name == null || glob || name === '*' || NEVER.has(name)) continue
    const target = find(name, file, ESM)
    if (!target) throw new Error(`${file} imports ${name}, which is nowhere`)
    found.push([name, target])
    if (!isEditorWorker(target)) walk(target)
  }
}

function walkCommon(file, source) {
  const found = {}
  common.set(file, found)
  for (const [, name] of source.matchAll(/\brequire\(["']([^"']+)["']\)/g)) {
    // Each of these files chooses by NODE_ENV, and the page says production.
    if (/\.development(\.min)?\.js$|\.dev\.js$/.test(name)) continue
    const target = find(name, file, CJS)
    if (!target) throw new Error(`${file} requires ${name}, which is nowhere`)
    found[name] = target
    if (common.has(target)) continue
    walkCommon(target, readFileSync(target, 'utf8'))
  }
}

const isEditorWorker = (file) => EDITOR_WORKER.test(relative(join(web, 'node_modules'), file))

// The page's own modules become data: URLs in the import map.
const own = {
  'plimsoll/session': read('src/session.js'),
  'plimsoll/page': read('src/page.js').replace("'./session.js'", "'plimsoll/session'"),
  'plimsoll/workers': read('src/cdn/workers.js'),
}
const inPage = join(web, 'index.html')
const wanted = Object.values(own)
  .flatMap((source) => parse(source)[0])
  .map(({ specifier }) => specifier)
  .filter((name) => name != null && !name.startsWith('plimsoll/'))
const roots = new Map([...new Set(wanted)].map((name) => [name, find(name, inPage, ESM)]))
for (const file of roots.values()) walk(file)

// The import map.

/** A module that hands out what a CommonJS file exports. */
function facade(file) {
  const names = Object.keys(requireHere(file)).filter((name) => /^[A-Za-z_$][\w$]*$/.test(name) && name !== 'default')
  return moduleUrl(
    `const m=plimsollCommonJs.require(${JSON.stringify(urlOf(file))});` +
      `export default m?.__esModule&&"default"in m?m.default:m;` +
      names.map((name, i) => `const v${i}=m.${name};export{v${i} as ${name}};`).join(''),
  )
}

/** A module that passes on another's exports, at an address that ends in a slash. */
function passOn(file) {
  if (parse(readFileSync(file, 'utf8'))[1].some(({ name }) => name === 'default')) throw new Error(`${file} has a default export`)
  return `${moduleUrl(`export*from${JSON.stringify(urlOf(file))};`)}//`
}

const EMPTY = moduleUrl('')
const workers = moduleUrl(own['plimsoll/workers'])

function addressOf(file) {
  if (file.endsWith('.css')) return EMPTY // GraphiQL's one style sheet has all of Monaco's
  if (isEditorWorker(file)) return workers
  return common.has(file) ? facade(file) : urlOf(file)
}

const PROBE = moduleUrl('/* must not load */')
const imports = {
  ...Object.fromEntries(Object.entries(own).map(([name, source]) => [name, moduleUrl(source)])),
  'plimsoll/probe': PROBE,
}
for (const [name, file] of roots) imports[name] = addressOf(file)
const scopes = {}

/** Says what `name` means in one file only. */
const only = (importer, name, address) => ((scopes[urlOf(importer)] ??= {})[name] = address)

for (const [importer, found] of modules) {
  for (const [name, target] of found) {
    const address = addressOf(target)
    if (name === '.' || name === '..') {
      // To a browser these are no paths but names like any other.
      only(importer, name, address)
      continue
    }
    if (name.endsWith('/')) {
      // In an import map a slash at the end means a whole folder, and wants one
      // at the end of the address: hence a module that passes everything on.
      only(importer, new URL(name, urlOf(importer)).href, passOn(target))
      continue
    }
    if (name.startsWith('.')) {
      const plain = new URL(name, urlOf(importer)).href
      // As written when that is the address; else mapped (endings left out, styles).
      if (plain === address) continue
      if ((imports[plain] ?? address) !== address) throw new Error(`${plain} would mean two files`)
      imports[plain] = address
    } else if ((imports[name] ?? address) === address) {
      imports[name] = address
    } else {
      // Two versions of one package: each importer sees its own.
      const scope = (scopes[packageOf(importer).url] ??= {})
      if ((scope[name] ?? address) !== address) throw new Error(`${name} means two files within ${importer}`)
      scope[name] = address
    }
  }
}
// A package seen only through the wide map must not be caught by another's file.
for (const [importer, found] of modules) {
  for (const [name, target] of found) {
    if (name.startsWith('.')) {
      // What passes a folder on in this file must not catch the folder's files.
      const plain = new URL(name, urlOf(importer)).href
      const caught = Object.keys(scopes[urlOf(importer)] ?? {}).some((key) => key.endsWith('/') && key !== plain && plain.startsWith(key))
      if (caught) throw new Error(`${importer} asks for a folder and for its ${name}`)
      continue
    }
    const seen = scopes[packageOf(importer).url]?.[name] ?? imports[name]
    if (seen !== addressOf(target)) throw new Error(`${importer} would get the wrong ${name}`)
  }
}

const integrity = Object.fromEntries([...modules.keys()].map((file) => [urlOf(file), sha384(readFileSync(file))]).sort())
integrity[PROBE] = sha384('anything else')

const commonJs = Object.fromEntries(
  [...common].map(([file, requires]) => [
    urlOf(file),
    {
      integrity: sha384(readFileSync(file)),
      requires: Object.fromEntries(Object.entries(requires).map(([name, target]) => [name, urlOf(target)])),
    },
  ]),
)

// The page.

const style = find('graphiql/style.css', inPage, ESM)
const menu = JSON.parse(read('src/examples/menu.json'))
const examples = readExamples(menu, (name) => (isFile(join(web, 'src/examples', name)) ? read(`src/examples/${name}`) : undefined))

// "</script" and "<!--" would end or bend a script; JSON can write < otherwise.
const json = (value, indent) => JSON.stringify(value, null, indent).replaceAll('<', '\\u003c')
const importMap = `\n${json({ imports, scopes, integrity }, 0).replaceAll(/(?<=[{,])"(?=https:)/g, '\n"')}\n`
const boot = `\n${read('src/cdn/boot.js')}`
if (/<\/script|<!--/i.test(boot)) throw new Error('boot.js would end its own script')
const inline = (source) => `'sha256-${createHash('sha256').update(source).digest('base64')}'`

// Belongs to the page, because its hashes do. Monaco writes styles of its own.
const policy = [
  "default-src 'none'",
  `script-src ${inline(importMap)} ${inline(boot)} ${CDN}/ blob: data:`,
  `style-src 'unsafe-inline' ${CDN}/`,
  "font-src data:",
  "img-src 'self' data:",
  `connect-src 'self' ${CDN}/`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const icon = read('index.html').match(/<link\s+rel="icon"[\s\S]*?\/>/)[0].replace(/\s+/g, ' ')
const page = `<!doctype html>
<!-- Written by web/scripts/cdn-page.mjs from package-lock.json and src/: change those, then \`npm run cdn\`. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="same-origin">
<title>Plimsoll · GraphiQL</title>
${icon}
<link rel="stylesheet" href="${urlOf(style)}" integrity="${sha384(readFileSync(style))}" crossorigin="anonymous">
<style>
${read('src/page.css')}</style>
<script type="importmap">${importMap}</script>
</head>
<body>
<div id="plimsoll"><p class="plimsoll-wait">Loading GraphiQL from a CDN; the first time takes a while …</p></div>
<noscript>This page needs JavaScript. The API itself is at /graphql.</noscript>
<script type="application/json" id="plimsoll-commonjs">${json(commonJs, 1)}</script>
<script type="application/json" id="plimsoll-examples">${json(examples, 1)}</script>
<script type="module">${boot}</script>
</body>
</html>
`

const out = join(web, 'cdn.html')
const what = `${modules.size} modules, ${common.size} CommonJS files, 1 style sheet, ${Math.ceil(page.length / 1024)} KiB`
if (process.argv.includes('--check')) {
  if (!isFile(out) || readFileSync(out, 'utf8') !== page) {
    console.error('cdn.html is not what the lock file and src/ say: run `npm run cdn` in web/')
    process.exit(1)
  }
  console.log(`cdn.html is up to date: ${what}`)
} else {
  writeFileSync(out, page)
  console.log(`cdn.html: ${what}`)
}
