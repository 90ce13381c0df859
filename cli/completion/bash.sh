# Completion of goscope-postgres for bash. To have it in each shell, put this line into ~/.bashrc:
#
#   eval "$(goscope-postgres completion bash)"

_goscope_postgres() {
  local rest=${COMP_LINE:0:COMP_POINT} at last=0 word begin breaks= prefix= quote=
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

  # The quote that is open at the cursor.
  word=${words[last]}
  for ((at = 0; at < ${#word}; at++)); do
    case $quote${word:at:1} in
      \\ | \"\\) ((at++)) ;;
      \' | \") quote=${word:at:1} ;;
      \'\' | \"\") quote= ;;
    esac
  done

  # bash replaces only the last part of the word, unless the word is quoted.
  if [[ $word != [\"\']* ]]; then
    [[ $COMP_WORDBREAKS != *:* ]] || breaks+=:
    [[ $COMP_WORDBREAKS != *=* ]] || breaks+==
    [[ -z $breaks ]] || prefix=${word%"${word##*[$breaks]}"}
  fi

  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    # Keys are data, which other people write, and bash inserts them as they are. Within a quote a key must not end the
    # quote or be expanded, so a key with such a character is not offered there.
    [[ -z $quote || $word != *[\'\"\$\`\\!]* ]] || continue
    [[ -n $quote ]] || printf -v word %q "$word"
    COMPREPLY+=("${word#"$prefix"}")
  done < <("${words[0]}" __complete bash "${words[@]:1}" 2>/dev/null)
}

complete -F _goscope_postgres goscope-postgres
