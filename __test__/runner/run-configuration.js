// @ts-check
// The test files in one configuration: starts its server and the route to it, and ends both.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { startPostgres } = require('../../embedded.js')
const debian = require('../helpers/debian-postgres.js')
const { postgresPackage } = require('../helpers/postgres-versions.js')
const plans = require('./compiled-plans.js')
const { forEachAtPace } = require('./pace.js')
const { runFile } = require('./run-file.js')
const { sharedPackage } = require('./shared-package.js')

const TESTS = path.join(__dirname, '..')
const nameOf = (/** @type {string} */ file) => path.relative(TESTS, file).replaceAll(path.sep, '/')

/** @typedef {import('./configurations.js').Configuration} Configuration */
/** @typedef {import('./report.js').Report} Report */

/**
 * @param {Configuration} configuration
 * @param {string[]} only these files, if there are some
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
  const files = filesOf(configuration, only)
  if (isDebian && debian.missing) return leaveOut(configuration, files, debian.missing, report)

  const installed = isDebian ? debian.debianPackage() : undefined
  const limits = { max_connections: '300', log_statement: 'none' }
  const server = given
    ? { url: given, logFile: '', stop: async () => {} }
    : await startPostgres({
        package: installed?.package ?? postgresPackage(version),
        settings: { ...settings, ...limits, ...(isDebian && plans.SETTINGS) },
      })
  try {
    await runOn(server.url, only.length > 0 ? whollyOf(configuration) : configuration, files, report)
    if (isDebian) await checkPlans(server.logFile, title, report)
  } finally {
    await server.stop()
    installed?.remove()
  }
}

/**
 * @param {string} serverUrl
 * @param {Configuration} configuration
 * @param {string[]} files
 * @param {Report} report
 */
async function runOn(serverUrl, configuration, files, report) {
  const { title, TZ, settings, detour, isDebian, variants, whole } = configuration
  const leavesOut = { ...configuration.leavesOut, ...configuration.leftToOthers }
  Object.keys(leavesOut).forEach(existing)
  const found = await detour?.(serverUrl)
  if (found && 'missing' in found) return leaveOut(configuration, files, found.missing, report)
  const env = {
    ...process.env,
    TZ,
    GOSCOPE_TEST_URL: serverUrl,
    GOSCOPE_TEST_SETTINGS: JSON.stringify(settings),
    GOSCOPE_TEST_WAY: JSON.stringify(found?.way ?? {}),
    ...(isDebian && { GOSCOPE_TEST_APPLICATION: plans.APPLICATION }),
  }
  const waiting = files.filter((file) => {
    const reason = leavesOut[nameOf(file)]
    if (reason !== undefined) report.skip(title, nameOf(file), reason)
    return reason === undefined
  })
  const packageFor = sharedPackage(waiting)
  await forEachAtPace(waiting, async (file) => {
    const which = variants && !whole?.includes(nameOf(file)) && { GOSCOPE_TEST_VARIANTS: variants }
    await runFile(file, { ...env, ...which, ...(await packageFor(file)) }, report, title)
  }).finally(() => found?.stop())
}

/**
 * @param {Configuration} configuration
 * @param {string[]} files
 * @param {string} reason
 * @param {Report} report
 */
function leaveOut({ title }, files, reason, report) {
  console.log(`  ${files.length} files are left out: ${reason}`)
  for (const file of files) report.skip(title, nameOf(file), reason)
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

/**
 * @param {Configuration} configuration
 * @param {string[]} only
 */
function filesOf({ folders, files }, only) {
  if (only.length > 0) return only
  if (files) return files.map(existing)
  return folders.flatMap((folder) => {
    const names = fs.readdirSync(path.join(TESTS, folder)).filter((name) => name.endsWith('.test.js'))
    return names.map((name) => path.join(TESTS, folder, name))
  })
}

/**
 * For files that were named: all of their variants, also if other configurations run them otherwise.
 *
 * @param {Configuration} configuration
 */
function whollyOf({ variants: _, leftToOthers: __, ...configuration }) {
  return configuration
}

/** @param {string} name of a test file, from a list that a renamed file may have left behind */
function existing(name) {
  const file = path.join(TESTS, name)
  if (!fs.existsSync(file)) throw new Error(`there is no test file ${name}: see runner/configurations.js`)
  return file
}

module.exports = { filesOf, runConfiguration }
