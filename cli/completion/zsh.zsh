#compdef goscope-postgres
# Completion of goscope-postgres for zsh. To have it in each shell, put this line into ~/.zshrc, after compinit:
#
#   eval "$(goscope-postgres completion zsh)"

_goscope_postgres() {
  local -a found shown
  local line
  for line in ${(f)"$("${(Q)words[1]}" __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"}; do
    found+=("${line%%$'\t'*}")
    shown+=("${line/$'\t'/  -- }")
  done
  compadd -l -d shown -a -- found
}

if [[ $funcstack[1] == _goscope-postgres ]]; then
  _goscope_postgres "$@"
else
  compdef _goscope_postgres goscope-postgres
fi
