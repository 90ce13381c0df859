import unstorage from './unstorage.js'

export const { storageDriver } = unstorage
export default storageDriver
