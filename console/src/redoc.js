import { init } from 'redoc/bundles/redoc.standalone.js'

import './bar.css'
import './token.js' // takes a token out of the address bar; nothing here needs one

const theme = { colors: { primary: { main: '#0b6e8f' } }, sidebar: { backgroundColor: '#f3f7f9' } }

// Its search would want a worker made of a blob, which the Content-Security-Policy rightly refuses.
init('/openapi.json', { theme, disableSearch: true, hideDownloadButton: false }, document.getElementById('root'))
