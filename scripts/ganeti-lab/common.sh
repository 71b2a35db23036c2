# What up and down share: where the lab lies, and how a process of it is remembered and ended.
# shellcheck shell=bash

LAB=${GANETI_LAB_DIR:-/var/lib/ganeti-lab}
DOMAIN=ganeti.test
MAX_NODES=9

say() { echo "ganeti-lab: $*" >&2; }
die() { say "$*"; exit 1; }

require_root() { [ "$(id -u)" = 0 ] || die "this needs root: it makes network and mount namespaces"; }

# A cluster is called letters and a number, "c1"; the number sets its addresses and its port.
is_cluster_name() { [[ $1 =~ ^[a-z]{1,5}[1-9][0-9]?$ ]]; }
number_of() { echo "${1##*[a-z]}"; }

bridge_of() { echo "gl$1br"; }
veth_of() { echo "gl$1n$2"; }

# One up or down at a time; the lock goes with the shell that took it.
take_lock() {
    [ -z "${GANETI_LAB_LOCKED:-}" ] || return 0
    mkdir -p "$LAB"
    exec 9>"$LAB/.lock"
    flock 9
    export GANETI_LAB_LOCKED=1
}

# A process is remembered as "pid start-time", so that a pid used again by another is never taken
# for ours.
start_time_of() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

remember() { # remember FILE PID
    echo "$2 $(start_time_of "$2")" >"$1"
}

pid_in() { # pid_in FILE: the remembered pid, if that very process still lives
    local pid start
    [ -s "$1" ] || return 1
    read -r pid start <"$1"
    [ -n "$start" ] && [ "$(start_time_of "$pid")" = "$start" ] && echo "$pid"
}

alive() { pid_in "$1" >/dev/null; }

wait_gone() { # wait_gone PID TENTHS
    local i
    for ((i = 0; i < $2; i++)); do
        [ -d "/proc/$1" ] || return 0
        sleep 0.1
    done
    return 1
}

end_process() { # end_process FILE
    local pid
    if pid=$(pid_in "$1"); then
        kill -TERM "$pid" 2>/dev/null || true
        if ! wait_gone "$pid" 30; then
            kill -KILL "$pid" 2>/dev/null || true
            wait_gone "$pid" 50 || true
        fi
    fi
    rm -f "$1"
}
