export * from './unstorage.js'
export { default } from './unstorage.js'
