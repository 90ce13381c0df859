// @ts-check
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { FINE, misuse } = require('../problem.js')

/** @type {Record<string, string>} */
const SCRIPTS = { bash: 'bash.sh', zsh: 'zsh.zsh', fish: 'fish.fish' }

/** @type {import('../commands.js').Action} */
module.exports = {
  details: `
For bash, in ~/.bashrc, and for zsh, in ~/.zshrc after compinit:

  eval "$(goscope-postgres completion bash)"
  eval "$(goscope-postgres completion zsh)"

For fish:

  goscope-postgres completion fish > ~/.config/fish/completions/goscope-postgres.fish

The script asks this command what fits: commands, options, their values, and keys, if a connection is configured by
--url, DATABASE_URL or the PG* variables. Without an answer of the server within two seconds there are no keys.`,
  connects: false,
  values: Object.keys(SCRIPTS),

  async run({ positionals: [shell] }) {
    if (!Object.hasOwn(SCRIPTS, shell)) {
      throw misuse(`there is a completion for ${Object.keys(SCRIPTS).join(', ')}, and not for '${shell}'`)
    }
    process.stdout.write(fs.readFileSync(path.join(__dirname, '..', 'completion', SCRIPTS[shell]), 'utf8'))
    return FINE
  },
}
