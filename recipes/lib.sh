# Sourced by all recipes: variables that mean what they say. Each check names variable, value and what is allowed, and ends
# the recipe with 2, in the dry run too. Tests: tests/recipes/test_lib.py

fail() { # <message ...>
    echo "error: $*" >&2
    exit 2
}

switch() { # <NAME> <default>: sets NAME to 1 or 0
    local given="${!1:-$2}"
    case "${given,,}" in
        1 | true | yes | on) printf -v "$1" 1 ;;
        0 | false | no | off) printf -v "$1" 0 ;;
        *) fail "$1=$given: must be 1, true, yes or on, or 0, false, no or off" ;;
    esac
}

whole() { # <NAME> <default> <least> [most]: sets NAME to a whole number in that range
    local given="${!1:-$2}" most="${4:-1000000000}"
    [[ $given =~ ^[0-9]{1,10}$ ]] && ((10#$given >= $3 && 10#$given <= most)) ||
        fail "$1=$given: must be a whole number, at least $3${4:+ and at most $4}"
    printf -v "$1" %d "$((10#$given))"
}

choice() { # <NAME> <default> <value ...>: sets NAME to one of the values
    local name="$1" given="${!1:-$2}"
    shift 2
    [[ " $* " == *" $given "* ]] || fail "$name=$given: must be one of $*"
    printf -v "$name" %s "$given"
}

multiple() { # <NAME> <NAME>: the first must be a multiple of the second
    ((${!1} % ${!2} == 0)) || fail "$1=${!1}: must be a multiple of $2=${!2}"
}

need_file() { # <path> <what to do>
    [[ -f $1 ]] || fail "$1 is missing; $2"
}

need_folder() { # <NAME> <what it is>
    [[ -d ${!1} ]] || fail "$1=${!1}: there is no such folder; give $2"
}

need_model() { # <NAME>: a folder, or a Hugging Face id whose first part is no folder here
    [[ -d ${!1} ]] && return
    [[ ${!1} =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$ && ! -d ${!1%%/*} ]] ||
        fail "$1=${!1}: there is no such folder; give a model's folder, or a Hugging Face id such as Qwen/Qwen3-4B"
}

of_manifest() { # <folder> <key> <default>: what the manifest.json of `awpo data` in the folder says under a key of its own
    local found=""
    if [[ -f $1/manifest.json ]]; then
        found="$(sed -n "s/^  \"$2\": \"\([a-z0-9_.:-]*\)\".*/\1/p" "$1/manifest.json" | head -n 1)"
    fi
    echo "${found:-$3}"
}
