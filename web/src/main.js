// The entry of the built page: everything comes from the bundle.
import 'graphiql/setup-workers/vite'
import 'graphiql/style.css'
import './page.css'
import menu from './examples/menu.json'
import { readExamples } from './examples.js'
import { mount } from './page.js'

const files = import.meta.glob(['./examples/*.graphql', './examples/*.variables.json'], {
  query: '?raw',
  import: 'default',
  eager: true,
})

mount(document.getElementById('plimsoll'), readExamples(menu, (name) => files[`./examples/${name}`]))
