import opentelemetry from './opentelemetry.js'

export const { LatencyProducer, observePool, traceCalls } = opentelemetry
