export * from './unstorage.js'

import { storageDriver } from './unstorage.js'

export default storageDriver
