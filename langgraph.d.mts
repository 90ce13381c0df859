export * from './langgraph.js'
