module.exports = { testMatch: ['**/*.test.js'], testTimeout: 120_000 }
