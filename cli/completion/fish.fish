# Completion of goscope-postgres for fish. To have it in each shell:
#
#   goscope-postgres completion fish > ~/.config/fish/completions/goscope-postgres.fish

function __goscope_postgres_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -l current (commandline -ct)
    set -e words[1]
    # In quotes it is one argument, also if it is empty.
    $program __complete fish $words "$current" 2>/dev/null
end

complete -c goscope-postgres -f -a '(__goscope_postgres_complete)'
