// @ts-check
// Reads an exposition as Prometheus does: with the strict parsers of its client for Python, fetched from PyPI once.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const HERE = path.join(__dirname, 'prometheus')
const LIBRARY = path.join(__dirname, '../../node_modules/.cache/goscope-postgres/prometheus_client')

/**
 * @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample
 * @typedef {{ name: string, type: string, unit: string, help: string, samples: Sample[] }} Family
 */

/** Why expositions cannot be parsed here; false if they can. */
const missing =
  spawnSync('python3', ['-m', 'pip', '--version']).status !== 0 &&
  'it needs python3 with pip (Debian: apt-get install python3-pip)'

/**
 * @param {string} exposition
 * @param {'openmetrics' | 'text'} format
 * @returns {Family[]}
 */
function parse(exposition, format) {
  if (!fs.existsSync(LIBRARY)) {
    const args = ['-m', 'pip', 'install', '--quiet', '--target', LIBRARY, '-r', path.join(HERE, 'requirements.txt')]
    const { status, stderr } = spawnSync('python3', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`prometheus_client could not be fetched from PyPI: ${stderr}`)
  }
  const env = { ...process.env, PYTHONPATH: LIBRARY }
  const options = /** @type {const} */ ({ input: exposition, env, encoding: 'utf8' })
  const { status, stdout, stderr } = spawnSync('python3', [path.join(HERE, 'parse.py'), format], options)
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

module.exports = { missing, parse }
