// The page: a header of our own above GraphiQL. It is plain JavaScript without
// JSX, because the CDN page carries the same file without a build.
import { createElement as h, useEffect, useRef, useState } from 'react'
import { createPortal } from 'react-dom'
import { createRoot } from 'react-dom/client'
import { GraphiQL } from 'graphiql'
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { currentToken, keepToken, send, whoAmI } from './session.js'

export function mount(element, groups) {
  createRoot(element).render(h(Page, { groups }))
}

function fetcher({ operationName, ...params }, options) {
  // GraphiQL reads the operation's name off the editor a moment after an edit.
  // Who runs an example quicker than that would send the name of the last one.
  const named = operationName && new RegExp(`\\b${operationName}\\b`).test(params.query)
  return send(named ? { ...params, operationName } : params, options?.headers)
}

function Page({ groups }) {
  // The menu stands in the header but talks to GraphiQL's state, which only
  // components inside GraphiQL reach: hence the portal into this slot.
  const [slot, setSlot] = useState(null)
  const first = groups[0].examples[0]
  return h(
    'div',
    { className: 'plimsoll-page' },
    h(
      'header',
      { className: 'plimsoll-header' },
      h(Mark),
      h('h1', null, 'Plimsoll'),
      h('span', { className: 'plimsoll-kind' }, 'GraphiQL'),
      h('div', { ref: setSlot, className: 'plimsoll-slot' }),
      h(Login),
    ),
    h(
      'main',
      { className: 'plimsoll-main' },
      h(
        GraphiQL,
        {
          fetcher,
          defaultTabs: [{ query: first.query, variables: first.variables }],
          defaultEditorToolsVisibility: true,
          // The token has its own place; headers typed by hand are not kept either.
          shouldPersistHeaders: false,
        },
        h(GraphiQL.Logo, null, ' '),
        slot && createPortal(h(Examples, { groups }), slot),
      ),
    ),
  )
}

/** A Plimsoll mark: a circle crossed by a horizontal line. */
function Mark() {
  return h(
    'svg',
    { className: 'plimsoll-mark', viewBox: '0 0 32 32', fill: 'none', stroke: 'currentColor', strokeWidth: 3.5, 'aria-hidden': true },
    h('circle', { cx: 16, cy: 16, r: 9.5 }),
    h('path', { d: 'M1 16h30' }),
  )
}

/** A menu of examples; each opens in a tab of its own. */
function Examples({ groups }) {
  const [open, setOpen] = useState(false)
  const ready = useGraphiQL((state) => Boolean(state.queryEditor && state.variableEditor))
  const { queryEditor, variableEditor } = useGraphiQL(({ queryEditor, variableEditor }) => ({ queryEditor, variableEditor }))
  const { addTab } = useGraphiQLActions()
  const box = useRef(null)
  const button = useRef(null)

  useEffect(() => {
    if (!open) return
    box.current.querySelector('[role=menuitem]').focus()
    const leave = (event) => {
      if (!box.current?.contains(event.target)) setOpen(false)
    }
    document.addEventListener('pointerdown', leave)
    return () => document.removeEventListener('pointerdown', leave)
  }, [open])

  const show = ({ query, variables }) => {
    setOpen(false)
    addTab()
    // The editors write what they hold into the tab that is now active.
    queryEditor.setValue(query)
    variableEditor.setValue(variables)
    queryEditor.setPosition({ lineNumber: 1, column: 1 })
    queryEditor.focus()
  }

  const onKeyDown = (event) => {
    if (!open) return
    if (event.key === 'Escape') {
      setOpen(false)
      button.current.focus()
      return
    }
    if (event.key === 'Tab') {
      setOpen(false)
      return
    }
    const items = [...box.current.querySelectorAll('[role=menuitem]')]
    const here = items.indexOf(document.activeElement)
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key]
    if (to === undefined) return
    event.preventDefault()
    items.at(to % items.length).focus()
  }

  return h(
    'div',
    { ref: box, className: 'plimsoll-examples', onKeyDown },
    h(
      'button',
      {
        ref: button,
        type: 'button',
        className: 'plimsoll-button',
        disabled: !ready,
        'aria-haspopup': 'menu',
        'aria-expanded': open,
        onClick: () => setOpen(!open),
      },
      'Examples',
      h('span', { 'aria-hidden': true }, ' ▾'),
    ),
    open &&
      h(
        'div',
        { role: 'menu', 'aria-label': 'Examples', className: 'plimsoll-menu' },
        h(
          'div',
          { role: 'presentation', className: 'plimsoll-columns' },
          groups.map(({ group, examples }) =>
            h(
              'div',
              { key: group, role: 'group', 'aria-label': group },
              h('div', { className: 'plimsoll-group', 'aria-hidden': true }, group),
              examples.map((example) =>
                h(
                  'button',
                  { key: example.name, type: 'button', role: 'menuitem', tabIndex: -1, 'data-example': example.name, onClick: () => show(example) },
                  example.title,
                ),
              ),
            ),
          ),
        ),
      ),
  )
}

/** The token field and whose token it is. */
function Login() {
  const [value, setValue] = useState(currentToken)
  const [who, setWho] = useState({ state: 'none' })

  useEffect(() => {
    keepToken(value)
    if (!value.trim()) {
      setWho({ state: 'none' })
      return
    }
    let current = true
    setWho({ state: 'checking' })
    // Someone who types, not pastes, should not cause a request for each letter.
    const timer = setTimeout(async () => {
      const answer = await whoAmI()
      if (current) setWho(answer)
    }, 300)
    return () => {
      current = false
      clearTimeout(timer)
    }
  }, [value])

  return h(
    'form',
    { className: 'plimsoll-login', autoComplete: 'off', onSubmit: (event) => event.preventDefault() },
    h('output', { className: `plimsoll-who plimsoll-${who.state}`, htmlFor: 'plimsoll-token', 'aria-live': 'polite' }, hint(who)),
    h('label', { htmlFor: 'plimsoll-token' }, 'Token'),
    h('input', {
      id: 'plimsoll-token',
      // Hidden like a password: screens are shared, and pictures taken.
      type: 'password',
      value,
      placeholder: 'paste the token that login answered',
      autoComplete: 'off',
      spellCheck: false,
      onChange: (event) => setValue(event.target.value),
    }),
    h(
      'button',
      { type: 'button', className: 'plimsoll-button', disabled: !value, onClick: () => setValue('') },
      'Forget',
    ),
  )
}

function hint({ state, name, role }) {
  switch (state) {
    case 'in':
      return h('span', null, 'signed in as ', h('strong', null, name), ' ', h('span', { className: 'plimsoll-role' }, role))
    case 'refused':
      return 'token not accepted'
    case 'checking':
      return '…'
    case 'unknown':
      return ''
    default:
      return 'not signed in'
  }
}
