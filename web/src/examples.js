/**
 * Reads the examples in the order of the menu.
 *
 * An example is `NAME.graphql`, whose first line is a comment with its title,
 * and where it needs variables, `NAME.variables.json` beside it.
 * `read` answers with a file's text, or undefined when there is none.
 */
export function readExamples(menu, read) {
  return menu.map(({ group, examples }) => ({
    group,
    examples: examples.map((name) => {
      const query = read(`${name}.graphql`)
      if (query === undefined) throw new Error(`there is no example ${name}.graphql`)
      const title = query.match(/^# (.+)/)?.[1]
      if (!title) throw new Error(`${name}.graphql does not start with its title`)
      return { name, title, query, variables: read(`${name}.variables.json`)?.trim() ?? '' }
    }),
  }))
}
