// @ts-check
// The test files in one configuration: starts its server and the route to it, and ends both.
'use strict'

const { startPostgres } = require('../../embedded.js')
const debian = require('../../scripts/servers/debian-postgres.js')
const { postgresPackage } = require('../support/postgres-versions.js')
const plans = require('./compiled-plans.js')
const { forEachAtPace } = require('./pace.js')
const { nameOf, planOf } = require('./plan.js')
const { runFile } = require('./run-file.js')
const { sharedPackage } = require('./shared-package.js')

/** @typedef {import('./configurations.js').Configuration} Configuration */
/** @typedef {import('./plan.js').Plan} Plan */
/** @typedef {import('./report.js').Report} Report */

/**
 * @param {Configuration} configuration
 * @param {string[]} only these files, with all of their variants, if there are some
 * @param {Report} report
 */
async function runConfiguration(configuration, only, report) {
  const { title, version, settings, isDebian } = configuration
  const given = process.env.DATABASE_URL
  if (given && version !== 18) {
    console.log(`\n${title}: left out, DATABASE_URL names the server to use`)
    return
  }
  console.log(`\n${given ? title.replace(/^PostgreSQL \d+/, 'The server of DATABASE_URL') : title}`)
  const plan = planOf(configuration, only)
  if (isDebian && debian.missing) return leaveOut(configuration, plan, debian.missing, report)

  const installed = isDebian ? debian.debianPackage() : undefined
  const limits = { max_connections: '300', log_statement: 'none' }
  const server = given
    ? { url: given, logFile: '', stop: async () => {} }
    : await startPostgres({
        package: installed?.package ?? postgresPackage(version),
        settings: { ...settings, ...limits, ...(isDebian && plans.SETTINGS) },
      })
  try {
    await runOn(server.url, configuration, plan, report)
    if (isDebian) await checkPlans(server.logFile, title, report)
  } finally {
    await server.stop()
    installed?.remove()
  }
}

/**
 * @param {string} serverUrl
 * @param {Configuration} configuration
 * @param {Plan} plan
 * @param {Report} report
 */
async function runOn(serverUrl, configuration, plan, report) {
  const { title, TZ, settings, detour, isDebian } = configuration
  const found = await detour?.(serverUrl)
  if (found && 'missing' in found) return leaveOut(configuration, plan, found.missing, report)
  const env = {
    ...process.env,
    TZ,
    GOSCOPE_TEST_URL: serverUrl,
    GOSCOPE_TEST_SETTINGS: JSON.stringify(settings),
    GOSCOPE_TEST_ROUTE: JSON.stringify(found?.route ?? {}),
    ...(isDebian && { GOSCOPE_TEST_APPLICATION: plans.APPLICATION }),
  }
  for (const { file, reason } of plan.skips) report.skip(title, nameOf(file), reason)
  const packageFor = sharedPackage(plan.runs)
  await forEachAtPace(plan.runs, async ({ file, declaration, variants }) => {
    const which = variants && { GOSCOPE_TEST_VARIANTS: variants }
    await runFile(file, { ...env, ...which, ...(await packageFor(declaration)) }, report, title)
  }).finally(() => found?.stop())
}

/**
 * @param {Configuration} configuration
 * @param {Plan} plan
 * @param {string} reason
 * @param {Report} report
 */
function leaveOut({ title }, { runs, skips }, reason, report) {
  const files = [...runs, ...skips]
  console.log(`  ${files.length} files are left out: ${reason}`)
  for (const { file } of files) report.skip(title, nameOf(file), reason)
}

/**
 * @param {string} logFile
 * @param {string} where
 * @param {Report} report
 */
async function checkPlans(logFile, where, report) {
  const { plans: seen, compiled } = await plans.compiledPlans(logFile)
  const isGood = compiled.length === 0 && seen > 0
  console.log(`  ${isGood ? '✓' : '✗'} no plan of an operation was compiled: ${compiled.length} of ${seen}`)
  if (isGood) report.passed++
  else
    report.fail(
      where,
      `${compiled.length} of ${seen} plans of operations were compiled\n${compiled.slice(0, 3).join('\n')}`,
    )
}

module.exports = { runConfiguration }
