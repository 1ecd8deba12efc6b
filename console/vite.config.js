import { defineConfig } from 'vite'

// Redoc's bundle shows a picture from its maker's CDN (our pages load nothing from elsewhere; the link itself stays), and
// requires "null", which is what its own build left of a module that only node has.
const redoc = {
  name: 'redoc',
  resolveId: (id) => (id === 'null' ? '\0null' : null),
  load: (id) => (id === '\0null' ? 'export default {}' : null),
  transform(code, id) {
    if (!id.includes('redoc.standalone')) return null
    const picture = 'https://cdn.redoc.ly/redoc/logo-mini.svg'
    if (!code.includes(picture)) throw new Error('Redoc has changed: see where its logo comes from now.')
    const nothing = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"
    return { code: code.replaceAll(picture, nothing), map: null }
  },
}

export default defineConfig({
  base: '/console/',
  plugins: [redoc],
  worker: { format: 'es' },
  build: {
    outDir: '../lakefront/server/pages/static/console',
    emptyOutDir: true,
    assetsInlineLimit: 0, // what a file is, stays one: browsers keep it
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 5000,
    license: { fileName: 'licenses.md' }, // of all that is packed into the pages; goes with them into the wheel
    rolldownOptions: {
      input: ['graphiql.html', 'docs.html', 'redoc.html'],
      checks: { moduleLevelDirective: false }, // 'use client' and its like say nothing here
    },
  },
})
