// Runs every example of the menu against a running server, in the menu's order,
// and checks what it answers. Variables are the example's own, except for what
// stands for ids and versions, which come from earlier answers, and for names
// that must be unique. Works in a demo as in a database with imported posts.
// Settings, all from the environment:
//   PLIMSOLL_URL                        the server (http://127.0.0.1:8000)
//   PLIMSOLL_EMAIL, PLIMSOLL_PASSWORD   the login of an administrator
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { readExamples } from '../src/examples.js'

const { PLIMSOLL_URL: url = 'http://127.0.0.1:8000', PLIMSOLL_EMAIL: email, PLIMSOLL_PASSWORD: password } = process.env
if (!email || !password) {
  console.error('PLIMSOLL_EMAIL and PLIMSOLL_PASSWORD are not set: they are the login of an administrator')
  process.exit(2)
}

const run = randomUUID().slice(0, 8)
const folder = new URL('../src/examples/', import.meta.url)
const read = (name) => (existsSync(new URL(name, folder)) ? readFileSync(new URL(name, folder), 'utf8') : undefined)
const examples = readExamples(JSON.parse(read('menu.json')), read).flatMap(({ examples }) => examples)

async function send(query, variables, token) {
  const response = await fetch(new URL('/graphql', url), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(30_000),
  })
  return { status: response.status, ...(await response.json()) }
}

/** The answer's data; the answer must be whole. */
async function ask(query, variables, token) {
  const { status, data, errors } = await send(query, variables, token)
  assert.deepEqual({ status, errors }, { status: 200, errors: undefined })
  return data
}

/** What a mutation made of `type`; there must be no errors. */
function done(payload, type) {
  assert.deepEqual(payload.errors, [])
  assert.ok(payload[type], `no ${type} in the answer`)
  return payload[type]
}

/** A mutation's refusal: one error of this type, and nothing done. */
function refused(payload, type, typename) {
  assert.equal(payload[type], null)
  assert.deepEqual(payload.errors.map(({ __typename }) => __typename), [typename])
  assert.ok(payload.errors[0].message.length > 10)
  return payload.errors[0]
}

const titles = (list) => list.edges.map(({ node }) => node.title)
const ref = ({ id, version }) => ({ id, expectedVersion: version })
/** The example's own input, for this record. */
const inputFor = (record, more = {}) => ({ input }) => ({ input: { ...input, ...ref(record), ...more } })

/** The example's own input, with a key of this run. */
const withKey = (more) => {
  const idempotencyKey = `${run}-${keys++}`
  return ({ input }) => ({ input: { ...input, ...more, idempotencyKey } })
}
let keys = 0
/** The example's own input, with a stock-keeping unit of this run. */
const withSku = ({ input }) => ({ input: { ...input, sku: `${input.sku}-${run}` } })
/** The example's own lines, about the product that was made. */
const ofProduct = ({ input }) => input.items.map((line) => ({ ...line, productId: kept.product.id }))

const kept = {} // what later examples take from earlier ones
let token // the login that the examples run with

// Each step: `variables`, made of the example's own, and `check`, of the answer.
const steps = {
  'newest-posts': {
    check({ posts }) {
      assert.ok(posts.nodes.length > 0 && posts.nodes.length <= 5)
      assert.ok(posts.totalCount >= posts.nodes.length)
      const times = posts.nodes.map(({ publishedAt }) => Date.parse(publishedAt))
      assert.deepEqual(times, times.toSorted((a, b) => b - a))
      kept.slug = posts.nodes[0].slug
      kept.postId = posts.nodes[0].id
      kept.author = posts.nodes[0].author
      kept.tag = posts.nodes.flatMap(({ tags }) => tags)[0]
    },
  },
  async 'next-page'(answer) {
    const { posts: first } = await answer((own) => own)
    assert.equal(first.edges.length, 3)
    assert.deepEqual([first.pageInfo.hasPreviousPage, first.pageInfo.hasNextPage], [false, true])
    assert.equal(first.pageInfo.endCursor, first.edges[2].cursor)
    const { posts: second } = await answer((own) => ({ ...own, after: first.pageInfo.endCursor }))
    assert.ok(second.edges.length > 0)
    assert.ok(titles(second).every((title) => !titles(first).includes(title)))
    assert.equal(second.pageInfo.hasPreviousPage, true)
    kept.pages = { first, second }
  },
  async 'previous-page'(answer) {
    const { first, second } = kept.pages
    const { posts } = await answer((own) => ({ ...own, before: second.pageInfo.startCursor }))
    assert.deepEqual(titles(posts), titles(first))
    const { posts: end } = await answer((own) => own)
    assert.equal(end.pageInfo.hasNextPage, false)
  },
  'post-by-slug': {
    // In upper case: slugs are found in any.
    variables: () => ({ slug: kept.slug.toUpperCase() }),
    check({ post }) {
      assert.equal(post.id, kept.postId)
      assert.ok(post.content.length > 0)
      assert.deepEqual(post.author, kept.author)
    },
  },
  drafts: {
    check({ posts }) {
      for (const post of posts.nodes) assert.ok(post.id && post.author.name)
    },
  },
  users: {
    check({ users }) {
      const names = users.nodes.map(({ name }) => name.toLowerCase())
      assert.deepEqual(names, names.toSorted())
      assert.ok(users.nodes.every(({ email }) => email.includes('@')), 'an administrator sees the addresses')
      assert.ok(users.totalCount >= users.nodes.length)
    },
  },
  'user-with-posts': {
    variables: () => ({ id: kept.author.id }),
    check({ user }) {
      assert.equal(user.name, kept.author.name)
      assert.ok(user.posts.totalCount > 0)
      kept.author = user
    },
  },
  'tag-with-posts': {
    variables: (own) => ({ slug: kept.tag?.slug ?? own.slug }),
    check({ tag }) {
      if (!kept.tag) return // imported posts need not have tags
      assert.equal(tag.name, kept.tag.name)
      assert.ok(tag.posts.totalCount > 0)
    },
  },
  async 'category-tree'(answer) {
    const { categories } = await answer((own) => own)
    for (const { children, posts } of categories.nodes) assert.ok(children.nodes && posts.totalCount >= posts.nodes.length)
    kept.category = categories.nodes[0]
    if (kept.category) return
    // Imported posts need not have categories.
    const make = 'mutation ($input: CreateCategoryInput!) { createCategory(input: $input) { category { id version name } errors { message } } }'
    const { createCategory } = await ask(make, { input: { name: 'Seamanship' } }, token)
    kept.category = done(createCategory, 'category')
  },
  'node-by-id': {
    variables: () => ({ id: kept.postId }),
    check({ node }) {
      assert.equal(node.__typename, 'Post')
      assert.equal(node.id, kept.postId)
      assert.ok(node.title && node.createdAt)
    },
  },
  'nodes-by-ids': {
    // The last is the id of no user.
    variables: () => ({ ids: [kept.author.id, kept.postId, 'user_00000000000000000000000000'] }),
    check({ nodes }) {
      assert.deepEqual(nodes.map((node) => node?.__typename), ['User', 'Post', undefined])
      assert.equal(nodes[0].name, kept.author.name)
    },
  },
  login: {
    variables: () => ({ email, password }),
    check({ login }) {
      assert.deepEqual(login.errors, [])
      assert.equal(login.viewer.role, 'ADMIN')
      assert.ok(Date.parse(login.expiresAt) > Date.now())
      kept.token = login.token
    },
  },
  viewer: {
    token: () => kept.token,
    check({ viewer }) {
      assert.equal(viewer.role, 'ADMIN')
      assert.equal(viewer.user.email.toLowerCase(), email.toLowerCase())
    },
  },
  logout: {
    token: () => kept.token,
    async check({ logout }) {
      assert.deepEqual(logout.errors, [])
      const { data, errors } = await send('{ viewer { user { id } } }', {}, kept.token)
      assert.ok(!data?.viewer?.user, 'the token still works')
      assert.equal(errors?.[0].extensions.code, 'UNAUTHENTICATED')
    },
  },
  'create-category': {
    variables: ({ input }) => ({ input: { ...input, name: `${input.name} ${run}`, parentId: kept.category.id } }),
    check({ createCategory }) {
      kept.subcategory = done(createCategory, 'category')
      assert.equal(kept.subcategory.parent.name, kept.category.name)
      assert.equal(kept.subcategory.slug, `knots-${run}`)
    },
  },
  'move-category': {
    variables: (own) => inputFor(kept.subcategory)(own),
    check({ updateCategory }) {
      const moved = done(updateCategory, 'category')
      assert.equal(moved.parent, null)
      assert.equal(moved.name, kept.subcategory.name, 'what was left out stays')
      assert.equal(moved.version, kept.subcategory.version + 1)
    },
  },
  'create-tag': {
    variables: ({ input }) => ({ input: { ...input, name: `${input.name} ${run}` } }),
    check({ createTag }) {
      kept.newTag = done(createTag, 'tag')
      assert.equal(kept.newTag.slug, `freeboard-${run}`)
    },
  },
  'rename-tag': {
    variables: (own) => inputFor(kept.newTag, { name: `${own.input.name} ${run}` })(own),
    check({ updateTag }) {
      const renamed = done(updateTag, 'tag')
      assert.equal(renamed.name, `Freeboard marks ${run}`)
      assert.equal(renamed.slug, kept.newTag.slug)
    },
  },
  'create-post': {
    variables: ({ input }) => ({ input: { ...input, slug: `${input.slug}-${run}`, categoryId: kept.category.id } }),
    check({ createPost }) {
      kept.post = done(createPost, 'post')
      assert.equal(kept.post.published, false)
    },
  },
  'set-post-tags': {
    variables: (own) => inputFor(kept.post, { tagIds: [kept.newTag.id] })(own),
    check: ({ setPostTags }) => assert.equal(changed(setPostTags).tags[0].id, kept.newTag.id),
  },
  'set-post-co-authors': {
    variables: (own) => inputFor(kept.post, { userIds: [kept.author.id] })(own),
    check({ setPostCoAuthors }) {
      assert.deepEqual(changed(setPostCoAuthors).coAuthors, [{ id: kept.author.id, name: kept.author.name }])
    },
  },
  'publish-post': {
    variables: () => ref(kept.post),
    check({ publishPost }) {
      const post = changed(publishPost)
      assert.ok(post.published && Date.parse(post.publishedAt))
      kept.publishedAt = post.publishedAt
    },
  },
  'update-post': {
    variables: (own) => inputFor(kept.post)(own),
    check: ({ updatePost }) => assert.equal(changed(updatePost).title, 'A mark on the hull, second edition'),
  },
  'version-conflict': {
    variables: () => ref(kept.post),
    check({ first, second }) {
      const saw = kept.post.version
      assert.equal(done(first, 'post').version, saw + 1)
      const conflict = refused(second, 'post', 'VersionConflict')
      assert.deepEqual([conflict.expectedVersion, conflict.currentVersion], [saw, saw + 1])
      assert.deepEqual(conflict.current, { id: kept.post.id, title: 'Written first', version: saw + 1 })
      kept.post.version = saw + 1
    },
  },
  'unpublish-post': {
    variables: () => ref(kept.post),
    check({ unpublishPost }) {
      const post = changed(unpublishPost)
      assert.equal(post.published, false)
      assert.equal(post.publishedAt, kept.publishedAt)
    },
  },
  'create-user': {
    variables: ({ input }) => ({ input: { ...input, email: input.email.replace('@', `-${run}@`) } }),
    check({ createUser }) {
      kept.user = done(createUser, 'user')
      assert.deepEqual([kept.user.role, kept.user.isActive], ['USER', true])
    },
  },
  'create-profile': {
    variables: ({ input }) => ({ input: { ...input, userId: kept.user.id } }),
    check({ createProfile }) {
      kept.profile = done(createProfile, 'profile')
      assert.equal(kept.profile.user.name, kept.user.name)
      assert.deepEqual(kept.profile.metadata, { languages: ['en', 'es'] })
    },
  },
  'update-profile': {
    variables: (own) => inputFor(kept.profile)(own),
    check({ updateProfile }) {
      const profile = done(updateProfile, 'profile')
      assert.equal(profile.avatarUrl, null, 'null clears')
      assert.equal(profile.bio, kept.profile.bio, 'what was left out stays')
      assert.deepEqual(profile.metadata, { languages: ['en'] })
    },
  },
  'deactivate-user': {
    variables: (own) => inputFor(kept.user)(own),
    check: ({ updateUser }) => assert.equal(done(updateUser, 'user').isActive, false),
  },
  products: {
    check({ products }) {
      assert.ok(products.totalCount >= products.nodes.length && products.nodes.length > 0)
      assert.ok(products.nodes.every(({ price, inventory }) => BigInt(price.amount) > 0n && inventory.quantity >= 0))
    },
  },
  'create-product': {
    variables: (own) => withSku(own),
    check({ createProduct }) {
      kept.product = done(createProduct, 'product')
      assert.equal(kept.product.inventory.quantity, 20)
    },
  },
  async 'adjust-stock'(answer) {
    const make = withKey({ productId: kept.product.id })
    for (const quantity of [25, 25]) {
      const { adjustStock } = await answer(make)
      assert.equal(done(adjustStock, 'inventory').quantity, quantity, 'the same key adds once')
    }
  },
  'import-products': {
    variables: ({ input }) => ({ input: { ...input, products: input.products.map((one) => withSku({ input: one }).input) } }),
    check({ importProducts }) {
      const [updated, created] = done(importProducts, 'products')
      assert.deepEqual([updated.version, updated.inventory.quantity], [kept.product.version + 1, 25])
      assert.deepEqual([created.version, created.inventory.quantity], [0, 100])
    },
  },
  async 'open-account'(answer) {
    const { openAccount } = await answer(({ input }) => ({ input: { ...input, ownerId: kept.user.id } }))
    kept.theirs = done(openAccount, 'account')
    assert.deepEqual([kept.theirs.owner.name, kept.theirs.balance.amount], [kept.user.name, '0'])
    const { viewer, accounts } = await ask('{ viewer { user { id } } accounts { nodes { id currency owner { id } } } }', {}, token)
    kept.own = accounts.nodes.find(({ owner, currency }) => owner?.id === viewer.user.id && currency === 'EUR')
    assert.ok(kept.own, 'the administrator of the demo has an account')
  },
  deposit: {
    variables: (own) => withKey({ to: kept.own.id })(own),
    check({ deposit }) {
      const transfer = done(deposit, 'transfer')
      assert.deepEqual([transfer.kind, transfer.from], ['DEPOSIT', null])
      kept.balance = BigInt(transfer.to.balance.amount)
    },
  },
  async 'transfer-funds'(answer) {
    const make = withKey({ from: kept.own.id, to: kept.theirs.id })
    const first = done((await answer(make)).transferFunds, 'transfer')
    const again = done((await answer(make)).transferFunds, 'transfer')
    assert.deepEqual(again, first, 'the same key moves it once')
    kept.balance -= BigInt(first.amount.amount)
    assert.equal(BigInt(first.from.balance.amount), kept.balance)
  },
  'insufficient-funds': {
    variables: (own) => withKey({ from: kept.own.id, to: kept.theirs.id })(own),
    check: ({ transferFunds }) =>
      assert.equal(BigInt(refused(transferFunds, 'transfer', 'InsufficientFunds').balance.amount), kept.balance),
  },
  'place-order': {
    variables: (own) => withKey({ items: ofProduct(own) })(own),
    check({ placeOrder }) {
      kept.order = done(placeOrder, 'order')
      assert.deepEqual([kept.order.status, kept.order.total.amount], ['PAID', '2700'])
      assert.equal(kept.order.items[0].product.inventory.quantity, 23)
    },
  },
  'insufficient-stock': {
    variables: (own) => withKey({ items: ofProduct(own) })(own),
    check: ({ placeOrder }) => assert.equal(refused(placeOrder, 'order', 'InsufficientStock').available, 23),
  },
  'account-with-transfers': {
    variables: () => ({ id: kept.own.id }),
    check({ account }) {
      assert.equal(BigInt(account.balance.amount), kept.balance - 2700n)
      const [payment, transfer] = account.transfers.nodes
      assert.deepEqual([payment.kind, payment.order.id], ['PAYMENT', kept.order.id])
      assert.deepEqual([transfer.kind, transfer.toId], ['TRANSFER', kept.theirs.id])
    },
  },
  'cancel-order': {
    variables: (own) => inputFor(kept.order)(own),
    check({ cancelOrder }) {
      const order = done(cancelOrder, 'order')
      assert.deepEqual([order.status, order.items[0].product.inventory.quantity], ['CANCELLED', 25])
    },
  },
  'delete-post': {
    variables: () => ref(kept.post),
    check: ({ deletePost }) => assert.ok(changed(deletePost).deletedAt),
  },
  'posts-with-deleted': {
    check({ posts }) {
      assert.ok(posts.nodes.some(({ id, deletedAt }) => id === kept.post.id && deletedAt))
      assert.ok(posts.nodes.some(({ deletedAt }) => !deletedAt))
    },
  },
  'deleted-posts': {
    check({ posts }) {
      assert.ok(posts.nodes.every(({ deletedAt }) => deletedAt))
      const deleted = posts.nodes.find(({ id }) => id === kept.post.id)
      assert.equal(deleted.version, kept.post.version)
    },
  },
  'purge-post': {
    variables: () => ref(kept.post),
    check({ purgePost }) {
      const { message } = refused(purgePost, 'post', 'ValidationFailed')
      assert.match(message, /retention/)
    },
  },
  'restore-post': {
    variables: () => ref(kept.post),
    check({ restorePost }) {
      const post = changed(restorePost)
      assert.equal(post.deletedAt, null)
      assert.equal(post.slug, `a-mark-on-the-hull-${run}`)
    },
  },
  'delete-user': {
    variables: () => ref(kept.author),
    check({ deleteUser }) {
      const user = done(deleteUser, 'user')
      assert.ok(user.deletedAt)
      kept.author.version = user.version
    },
  },
  deletions: {
    check({ deletions }) {
      const [{ root, rowCount, ...deletion }] = deletions.nodes
      assert.deepEqual(root, { __typename: 'User', ...pick(kept.author, 'id', 'version', 'name') })
      assert.ok(rowCount > kept.author.posts.totalCount, 'the user and each post')
      assert.ok(deletion.deletedBy.name)
      assert.ok(Date.parse(deletion.purgeableAt) > Date.parse(deletion.deletedAt))
      assert.deepEqual([deletion.restoredAt, deletion.purgedAt], [null, null])
      const undone = deletions.nodes.find(({ root }) => root?.id === kept.post.id)
      assert.ok(undone.restoredAt && undone.purgeableAt === null)
    },
  },
  'restore-user': {
    variables: () => ref(kept.author),
    check({ restoreUser }) {
      const user = done(restoreUser, 'user')
      assert.equal(user.deletedAt, null)
      assert.equal(user.posts.totalCount, kept.author.posts.totalCount, 'all posts are back')
    },
  },
  'delete-category': {
    variables: () => ref(kept.category),
    // The post that was made above is in it.
    check: ({ deleteCategory }) => refused(deleteCategory, 'category', 'StillReferenced'),
  },
}

const pick = (object, ...keys) => Object.fromEntries(keys.map((key) => [key, object[key]]))

/** The changed post, whose version must have risen by one; later steps see the new one. */
function changed(payload) {
  const post = done(payload, 'post')
  assert.equal(post.version, kept.post.version + 1)
  kept.post.version = post.version
  return post
}

/** Runs one example as often as its step wants. */
async function walk({ name, query, variables }) {
  const step = steps[name]
  assert.ok(step, 'no step says what it answers')
  const own = variables ? JSON.parse(variables) : {}
  const run = (make, by = token) => ask(query, make(structuredClone(own)), by)
  if (typeof step === 'function') return step(run)
  return step.check(await run(step.variables ?? ((own) => own), step.token?.()))
}

const { login } = await ask('mutation ($input: LoginInput!) { login(input: $input) { token errors { message } } }', { input: { email, password } })
assert.deepEqual(login.errors, [])
token = login.token

for (const example of examples) {
  try {
    await walk(example)
    console.log(`ok      ${example.title}`)
  } catch (error) {
    console.error(`FAILED  ${example.title} (${example.name})\n${error.message}\n`)
    // The later ones build on it.
    process.exit(1)
  }
}
const superfluous = Object.keys(steps).filter((name) => !examples.some((example) => example.name === name))
assert.deepEqual(superfluous, [], 'steps without an example')
console.log(`${examples.length} examples answered as they should`)
