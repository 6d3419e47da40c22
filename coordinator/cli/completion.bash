# bash completion for fleetsnap. What may follow is asked from the command itself, so it always fits.
#   source <(fleetsnap completion bash)
_fleetsnap() {
    local cur=${COMP_WORDS[COMP_CWORD]} line
    COMPREPLY=()
    # "--name=value": bash hands over three words; the command wants the value's beginning
    [[ $cur == '=' ]] && cur=
    while IFS= read -r line; do
        [[ $line == "$cur"* ]] && COMPREPLY+=("$line")
    done < <(fleetsnap __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _fleetsnap fleetsnap
