import 'swagger-ui-dist/swagger-ui.css'
import './bar.css'

import SwaggerUIBundle from 'swagger-ui-dist/swagger-ui-bundle.js'

import { tenantOfKey, token } from './token.js'

const ui = SwaggerUIBundle({
  url: '/openapi.json',
  domNode: document.getElementById('root'),
  validatorUrl: null, // nothing is sent elsewhere
  displayRequestDuration: true,
  onComplete: () => token() && ui.preauthorizeApiKey(tenantOfKey(token()) === null ? 'bearer' : 'key', token()),
})
