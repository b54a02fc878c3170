// Monaco's workers for the CDN page, on the main thread. A real worker has no
// import map, so what it imports could be neither found nor checked there.
//
// This module also stands in for monaco-editor's editor.worker.js: the workers
// of JSON and GraphQL call its `initialize` with what makes their service.
import { SimpleWorkerServer } from 'monaco-editor/esm/vs/base/common/worker/simpleWorker.js'
import { EditorSimpleWorker } from 'monaco-editor/esm/vs/editor/common/services/editorSimpleWorker.js'
import { EditorWorkerHost } from 'monaco-editor/esm/vs/editor/common/services/editorWorkerHost.js'

let found
export function initialize(factory) {
  found = factory
}

const imports = {
  json: () => import('monaco-editor/esm/vs/language/json/json.worker.js'),
  graphql: () => import('monaco-graphql/esm/graphql.worker.js'),
}

const factories = {}

/** What makes the service of a language; null for the plain editor. */
async function factoryOf(label) {
  if (!imports[label]) return null
  // One after the other: each leaves its start in the one `onmessage` there is.
  const before = Object.values(factories).at(-1)
  factories[label] ??= (async () => {
    await before
    await imports[label]()
    globalThis.onmessage()
    globalThis.onmessage = null
    return found
  })()
  return factories[label]
}

async function serve(label, port) {
  const early = []
  let awake = false
  let server
  port.onmessage = ({ data }) => {
    // The first message only wakes a worker.
    if (!awake) awake = true
    else if (server) server.onmessage(data)
    else early.push(data)
  }
  const factory = await factoryOf(label)
  server = new SimpleWorkerServer(
    (message) => port.postMessage(message),
    (host) => new EditorSimpleWorker(EditorWorkerHost.getChannel(host), factory),
  )
  for (const message of early) server.onmessage(message)
}

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    // The ends of a channel look like the two sides of a worker.
    const { port1, port2 } = new MessageChannel()
    port1.terminate = () => port1.close()
    serve(label, port2)
    return port1
  },
}
