# One node: its files, its namespaces, its network.
# shellcheck shell=bash

in_node() { # in_node NODE_DIR COMMAND...
    local pid
    pid=$(pid_in "$1/pid") || die "$1 is not running"
    shift
    nsenter -t "$pid" -n -u -m -p --wd=/ -- "$@" 9>&-
}

# It reads to the end: who writes to a pipe that is closed has failed.
has_address() { # has_address ADDRESS < output of "ip -o -4 addr"
    [[ $(cat) == *" inet $1/"* ]]
}

# What a package's own configuration would be, but of this node only. A run directory begins
# empty, except for what says which fake instances run.
make_node_files() { # make_node_files NODE_DIR FQDN
    local node=$1 cluster
    cluster=$(dirname "$1")
    mkdir -p "$node"/{lib,log/extstorage,etc-ganeti/hooks,etc-ssh,root-ssh,run} \
        "$node"/srv/{os,extstorage/noop,file-storage,shared-file-storage,export}
    chmod 755 "$node" "$node/run"
    chmod 700 "$node/root-ssh"
    find "$node/run" -mindepth 1 -maxdepth 1 ! -name ganeti -exec rm -rf {} +
    [ ! -d "$node/run/ganeti" ] || find "$node/run/ganeti" -mindepth 1 -maxdepth 1 \
        ! -name fake-hypervisor ! -name instance-disks ! -name ext-dev -exec rm -rf {} +
    mkdir -p "$node"/run/{lock,sshd}
    chmod 1777 "$node/run/lock"
    cp -an /etc/ganeti/. "$node/etc-ganeti/"
    printf '%s\n' /srv/ganeti/file-storage /srv/ganeti/shared-file-storage \
        >"$node/etc-ganeti/file-storage-paths"
    {
        echo 'RAPI_ARGS="-b 0.0.0.0 --require-authentication"'
        printf '%s_ARGS=""\n' NODED CONFD WCONFD LUXID MOND KVMD
    } >"$node/default-ganeti"
    echo "$2" >"$node/hostname"
    make_ssh_files "$node" "$cluster/ssh"
    make_os "$node/srv/os"
    make_storage_provider "$node/srv/extstorage/noop"
}

# Nodes of one cluster share a key: Ganeti joins and checks nodes over ssh.
make_ssh_files() { # make_ssh_files NODE_DIR KEY_DIR
    cp -a "$2"/id_rsa "$2"/id_rsa.pub "$1/root-ssh/"
    cp -a "$2"/ssh_host_rsa_key "$2"/ssh_host_rsa_key.pub "$1/etc-ssh/"
    [ -e "$1/root-ssh/authorized_keys" ] || cp "$2/id_rsa.pub" "$1/root-ssh/authorized_keys"
    chmod 600 "$1/root-ssh/authorized_keys"
    : >"$1/etc-ssh/ssh_config"
    printf '%s\n' 'HostKey /etc/ssh/ssh_host_rsa_key' 'PermitRootLogin prohibit-password' \
        'PasswordAuthentication no' 'UsePAM no' 'UseDNS no' >"$1/etc-ssh/sshd_config"
}

make_os() { # make_os OS_DIR
    local name script
    for name in $OS_NAMES; do
        mkdir -p "$1/$name"
        for script in create import export rename verify; do
            install -m 755 "$HERE/os-script" "$1/$name/$script"
        done
        echo 20 >"$1/$name/ganeti_api_version"
        echo default >"$1/$name/variants.list"
        printf '%s\n' 'img_id Image identifier' 'img_format Image format' \
            'img_passwd Password to inject' 'img_passwd_hash Hashed password to inject' \
            'img_properties Image properties, JSON' 'img_personality Files to inject, JSON' \
            'config_url Where the configuration is fetched' >"$1/$name/parameters.list"
    done
}

make_storage_provider() { # make_storage_provider DIR
    local script
    for script in create attach detach remove grow setinfo verify snapshot open close; do
        install -m 755 "$HERE/volume-script" "$1/$script"
    done
    printf '%s\n' 'provider Storage provider' 'origin Source image of the disk' \
        >"$1/parameters.list"
}

start_namespaces() { # start_namespaces NODE_DIR FQDN
    local node=$1 unshare_pid i
    make_node_files "$node" "$2"
    rm -f "$node/ready"
    # Mount points, on the machine itself; what is mounted there stays in the node.
    mkdir -p /root/.ssh /srv/ganeti
    chmod 700 /root/.ssh
    # shellcheck disable=SC2086
    setsid unshare --net --uts --mount --pid --fork --mount-proc \
        "$HERE/node-init" "$node" "$2" $BRIDGES </dev/null >/dev/null 2>&1 9>&- &
    unshare_pid=$!
    for ((i = 0; i < 100; i++)); do
        [ ! -e "$node/ready" ] || break
        sleep 0.1
    done
    [ -e "$node/ready" ] || { cat "$node/node-init.log" >&2; die "$2 did not start"; }
    remember "$node/pid" "$(tr -d ' ' <"/proc/$unshare_pid/task/$unshare_pid/children")"
}

connect_node() { # connect_node NODE_DIR NUMBER J: a veth pair with one end on the cluster's bridge
    local node=$1 veth address=10.213.$2.$((10 + $3))
    veth=$(veth_of "$2" "$3")
    if ! in_node "$node" ip link show eth0 >/dev/null 2>&1; then
        ip link del "$veth" 2>/dev/null || true
        ip link add "$veth" type veth peer name eth0 netns "$(pid_in "$node/pid")"
        ip link set "$veth" master "$(bridge_of "$2")" up
        in_node "$node" ip link set eth0 up
    fi
    in_node "$node" ip -o -4 addr show dev eth0 | has_address "$address" ||
        in_node "$node" ip addr add "$address/24" dev eth0
}

start_node() { # start_node CLUSTER J: idempotent
    local node=$LAB/$1/n$2
    alive "$node/pid" || { mkdir -p "$node"; start_namespaces "$node" "n$2.$1.$DOMAIN"; }
    connect_node "$node" "$(number_of "$1")" "$2"
    in_node "$node" pgrep -x sshd >/dev/null || in_node "$node" /usr/sbin/sshd
}

start_daemons() { # start_daemons NODE_DIR NAME...; wconfd, rapi and luxid only on the master
    local node=$1 name
    shift
    for name; do
        in_node "$node" /usr/lib/ganeti/daemon-util check-and-start "ganeti-$name" \
            >>"$(dirname "$node")/start.log" 2>&1 </dev/null || true
    done
}
