# Ganeti from Debian's packages, without starting anything on the machine itself.
# shellcheck shell=bash

PACKAGES="ganeti ganeti-3.0 ganeti-haskell-3.0 curl openssl openssh-server openssh-client
    socat iproute2 util-linux procps"

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null || true)" = "ii " ]; }

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 "$@" \
        >>"$LAB/apt.log" 2>&1 9>&-
}

# While it exists, packages install but start no daemon (Debian's policy layer).
forbid_daemons() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

install_packages() {
    local name missing=""
    for name in $PACKAGES; do
        is_installed "$name" || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    (
        forbid_daemons
        # shellcheck disable=SC2086
        apt_get install --no-install-recommends $missing ||
            { apt_get update && apt_get install --no-install-recommends $missing; }
    ) || { tail -20 "$LAB/apt.log" >&2; die "apt-get failed: $LAB/apt.log"; }
}
