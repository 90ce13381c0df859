import prometheus from './prometheus.js'

export const { prometheusHandler, toPrometheus } = prometheus
