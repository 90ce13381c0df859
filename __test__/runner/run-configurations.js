// @ts-check
// The test files in their configurations: starts the server of each and the route to it, and ends both.
'use strict'

const { startPostgres } = require('../../embedded.js')
const debian = require('../../scripts/servers/debian-postgres.js')
const { postgresPackage } = require('../support/postgres-versions.js')
const plans = require('./compiled-plans.js')
const { runAtPace } = require('./pace.js')
const { nameOf, planOf } = require('./plan.js')
const { runFile } = require('./run-file.js')
const { sharedPackage } = require('./shared-package.js')

/** @typedef {import('./configurations.js').Configuration} Configuration */
/** @typedef {import('./plan.js').Plan} Plan */
/** @typedef {import('./report.js').Report} Report */

/**
 * Runs the test files in one configuration after the other. The next begins with the last files of the one before,
 * which alone would leave cores idle.
 *
 * @param {Configuration[]} configurations
 * @param {string[]} only these files, with all of their variants, if there are some
 * @param {Report} report
 */
const runConfigurations = (configurations, only, report) => runAtPace(tasksOf(configurations, only, report))

/**
 * @param {Configuration[]} configurations
 * @param {string[]} only
 * @param {Report} report
 * @returns {AsyncGenerator<() => Promise<void>>}
 */
async function* tasksOf(configurations, only, report) {
  /** @type {Promise<void>[]} */
  const ends = []
  for (const configuration of configurations) {
    // On one server, some tests would count the sessions of two configurations.
    if (process.env.DATABASE_URL) await Promise.all(ends)
    const { title } = configuration
    const plan = planOf(configuration, only, configurations)
    const opened = await open(configuration, plan, report).catch((error) => {
      report.fail(title, `it could not be started; test files that have not run: ${plan.runs.length}`, textOf(error))
    })
    if (!opened) continue
    for (const { file, reason } of plan.skips) report.skip(title, nameOf(file), reason)
    const packageFor = sharedPackage(plan.runs)
    /** @type {Promise<void>[]} */
    const files = []
    for (const { file, declaration, variants } of plan.runs) {
      const run = async () => {
        const which = variants && { GOSCOPE_TEST_VARIANTS: variants }
        const env = { ...opened.env, ...which, ...(await packageFor(declaration)) }
        await runFile(file, env, report, title)
      }
      const fail = (/** @type {unknown} */ error) => {
        report.say(title, `✗ ${nameOf(file)}  could not be run`)
        report.fail(`${nameOf(file)} (${title})`, 'the file itself could not be run', textOf(error))
      }
      yield () => {
        // A rejection would end the runner without its report, and this configuration's server would not be stopped.
        const running = run().catch(fail)
        files.push(running)
        return running
      }
    }
    const end = Promise.all(files).then(opened.close)
    ends.push(end.catch((error) => report.fail(title, 'the end of the configuration', textOf(error))))
  }
  await Promise.all(ends)
}

/** @param {any} error */
const textOf = (error) => String(error?.stack ?? error)

/**
 * Starts the server of a configuration and the route to it.
 *
 * @param {Configuration} configuration
 * @param {Plan} plan
 * @param {Report} report
 * @returns {Promise<{ env: NodeJS.ProcessEnv, close: () => Promise<void> } | undefined>} undefined if it is left out
 */
async function open({ title, version, TZ, settings, group, detour, isDebian }, plan, report) {
  const given = process.env.DATABASE_URL
  if (given && version !== 18) {
    console.log(`\n${title}: left out, DATABASE_URL names the server to use`)
    return
  }
  report.begin(title, given ? title.replace(/^PostgreSQL \d+/, 'The server of DATABASE_URL') : title)
  if (isDebian && debian.missing) {
    leaveOut(title, plan, debian.missing, report)
    return
  }

  const installed = isDebian ? debian.debianPackage() : undefined
  const limits = { max_connections: '300', log_statement: 'none' }
  const server = given
    ? { url: given, logFile: '', stop: async () => {} }
    : await startPostgres({
        package: installed?.package ?? postgresPackage(version),
        settings: { ...settings, ...limits, ...(isDebian && plans.SETTINGS) },
      })
  const stop = async () => {
    await server.stop()
    installed?.remove()
  }
  const found = await detour?.(server.url).catch(async (error) => {
    await stop()
    throw error
  })
  if (found && 'missing' in found) {
    await stop()
    leaveOut(title, plan, found.missing, report)
    return
  }
  const env = {
    ...process.env,
    TZ,
    GOSCOPE_TEST_GROUP: group,
    GOSCOPE_TEST_URL: server.url,
    GOSCOPE_TEST_SETTINGS: JSON.stringify(settings),
    GOSCOPE_TEST_ROUTE: JSON.stringify(found?.route ?? {}),
    ...(isDebian && { GOSCOPE_TEST_APPLICATION: plans.APPLICATION }),
  }
  const close = async () => {
    try {
      await found?.stop()
      if (isDebian) await checkPlans(server.logFile, title, report)
    } finally {
      await stop()
    }
  }
  return { env, close }
}

/**
 * @param {string} title
 * @param {Plan} plan
 * @param {string} reason
 * @param {Report} report
 */
function leaveOut(title, { runs, skips }, reason, report) {
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
  report.say(where, `${isGood ? '✓' : '✗'} no plan of an operation was compiled: ${compiled.length} of ${seen}`)
  if (isGood) report.passed++
  else
    report.fail(
      where,
      `${compiled.length} of ${seen} plans of operations were compiled\n${compiled.slice(0, 3).join('\n')}`,
    )
}

module.exports = { runConfigurations }
