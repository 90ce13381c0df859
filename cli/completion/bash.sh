# Completion of goscope-postgres for bash. To have it in each shell, put this line into ~/.bashrc:
#
#   eval "$(goscope-postgres completion bash)"

_goscope_postgres() {
  local rest=${COMP_LINE:0:COMP_POINT} at last=0 word begin breaks= prefix=
  local words=()
  # bash divides words at colons and equals signs, too. Parts with no space between them are one word again.
  for ((at = 0; at <= COMP_CWORD; at++)); do
    begin=$rest
    rest=${rest#"${rest%%[![:space:]]*}"}
    word=${COMP_WORDS[at]}
    ((at < COMP_CWORD)) || word=$rest
    if ((at == 0)); then
      words[0]=$word
    elif [[ $begin == "$rest" ]]; then
      words[last]+=$word
    else
      words[++last]=$word
    fi
    rest=${rest#"$word"}
  done

  # bash replaces only the last part of the word, unless the word is quoted.
  if [[ ${words[last]} != [\"\']* ]]; then
    [[ $COMP_WORDBREAKS != *:* ]] || breaks+=:
    [[ $COMP_WORDBREAKS != *=* ]] || breaks+==
    [[ -z $breaks ]] || prefix=${words[last]%"${words[last]##*[$breaks]}"}
  fi

  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    [[ ${words[last]} == [\"\']* ]] || printf -v word %q "$word"
    COMPREPLY+=("${word#"$prefix"}")
  done < <("${words[0]}" __complete bash "${words[@]:1}" 2>/dev/null)
}

complete -F _goscope_postgres goscope-postgres
