import { defineConfig } from 'vite'

export default defineConfig({
  // The server answers /graphiql with index.html and /graphiql/<path> with the
  // rest, so relative URLs would miss the folder: the address has no slash at its end.
  base: '/graphiql/',
  build: {
    // GraphiQL 5 needs browsers of about this age anyway.
    target: 'es2022',
    // Monaco is one large piece; a warning at each build would help nobody.
    chunkSizeWarningLimit: 8000,
    // The files are embedded in the binary; nobody serves their sources.
    sourcemap: false,
    rolldownOptions: {
      onLog(level, log, show) {
        // Hundreds of "use client" lines in the dependencies mean nothing here.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') show(level, log)
      },
    },
  },
  worker: { format: 'es' },
  // `npm run dev` needs a running server for the API.
  server: { proxy: { '/graphql': process.env.PLIMSOLL_URL ?? 'http://127.0.0.1:8000' } },
})
