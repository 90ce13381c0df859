export default {
  test: { include: ['*.vitest.mjs'], testTimeout: 120_000, hookTimeout: 120_000, teardownTimeout: 120_000 },
}
