# shellcheck shell=bash
# Hosts. Each is a folder DIR/hosts/NAME that holds everything of one machine:
#   kind         embed: the worker itself is the hypervisor's daemon (qemu:///embed?root=…/vm); libvirtd: a daemon of its own
#   vm/          libvirt's root: etc, lib, run, cache, log
#   disks/       images of guests        repository/  backups        state/  the worker's        boot/  the guest's kernel

# QEMU runs as libvirt-qemu, as everywhere on Debian, so that wrong owners and modes show in tests too.
qemu_user() { ! id libvirt-qemu >/dev/null 2>&1 && echo root || echo libvirt-qemu; }

reachable_for_qemu() { # FOLDER
    ((EUID != 0)) || [[ $(qemu_user) == root ]] || setpriv --reuid "$(qemu_user)" --regid "$(qemu_user)" --init-groups test -x "$1"
}

# The path of a unix socket has 107 bytes, and libvirt puts up to 76 behind its root; and QEMU must get there.
# Where DIR does not allow both, the hosts live in /tmp and DIR/hosts is a link.
hosts_place() {
    local place longest=$1
    [[ ! -d $DIR/hosts ]] || return 0
    rm -f "$DIR/hosts"
    if ((${#DIR} + 10 + ${#longest} <= 31)) && reachable_for_qemu "$DIR"; then
        mkdir "$DIR/hosts"
    else
        place=$(mktemp -d /tmp/fs.XXXXXX)
        chmod 755 "$place"
        ln -s "$place" "$DIR/hosts"
    fi
}

host_dir() { (cd "$DIR/hosts/$1" 2>/dev/null && pwd -P) || die "no host $1 in $DIR"; }
host_kind() { cat "$DIR/hosts/$1/kind"; }
host_names() { [[ ! -d $DIR/hosts ]] || (cd "$DIR/hosts" && ls); }

host_uri() { # NAME
    case $(host_kind "$1") in
    embed) echo "qemu:///embed?root=$(host_dir "$1")/vm" ;;
    libvirtd) echo "qemu+unix:///$( ((EUID == 0)) && echo system || echo session)?socket=$(host_dir "$1")/vm/sock/libvirt-sock" ;;
    esac
}

host_create() { # NAME KIND
    local host=$DIR/hosts/$1 file
    [[ ! -e $host/kind ]] || return 0
    mkdir -p "$host"/{vm/etc,vm/sock,vm/cache/qemu/capabilities,disks,repository,state,console,boot}
    chmod 700 "$host/state"
    qemu_conf >"$host/vm/etc/qemu.conf"
    [[ $2 == embed ]] || libvirtd_conf "$(cd "$host" && pwd -P)" >"$host/vm/etc/libvirtd.conf"
    # What libvirt found out about QEMU, seconds of work, is worth keeping; it checks by itself whether it still holds.
    for file in "$(capabilities_cache)"/*.xml; do
        [[ ! -e $file ]] || cp "$file" "$host/vm/cache/qemu/capabilities/"
    done
    echo "$2" >"$host/kind"
}

capabilities_cache() { echo "$cache_dir/capabilities-$( ((EUID == 0)) && qemu_user || id -un)"; }

keep_capabilities() { # HOST
    mkdir -p "$(capabilities_cache)"
    cp -u "$DIR/hosts/$1"/vm/cache/qemu/capabilities/*.xml "$(capabilities_cache)/" 2>/dev/null || true
}

qemu_conf() {
    ((EUID != 0)) || echo "user = \"$(qemu_user)\""
    # stdio_handler: no virtlogd needed. No security driver: its profiles know only the usual folders (owners and modes are
    # still managed). remember_owner: what it notes in the files is wrong as soon as a guest was killed. No namespaces, no
    # cgroups: they take time and leave things behind when a worker is killed.
    cat <<'CONF'
stdio_handler = "file"
security_driver = "none"
security_default_confined = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
CONF
}

libvirtd_conf() { # HOST-FOLDER
    cat <<CONF
unix_sock_dir = "$1/vm/sock"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:stderr"
CONF
}

libvirtd_start() { # HOST
    local host
    host=$(host_dir "$1")
    proc_start "libvirtd-$1" "$stack_here/in-host" "$host" libvirtd -f "$host/vm/etc/libvirtd.conf" --pid-file "$host/vm/libvirtd.pid"
    wait_until 60 libvirtd_up_or_dead "$1" || die "libvirtd of $1 does not answer, see $DIR/logs/libvirtd-$1.log"
    proc_pid "libvirtd-$1" >/dev/null || { log_tail "libvirtd-$1"; die "libvirtd of $1 ended while it was starting"; }
    keep_capabilities "$1"
}

libvirtd_up_or_dead() { # HOST: the socket is there before the QEMU driver is
    virsh -q -c "$(host_uri "$1")" list >/dev/null 2>&1 || ! proc_pid "libvirtd-$1" >/dev/null
}

host_up() { # HOST
    [[ $(host_kind "$1") != libvirtd ]] || proc_pid "libvirtd-$1" >/dev/null || libvirtd_start "$1"
}

# virsh on a host. Embedded, only one process at a time can be the daemon: not while the worker runs.
# And one that ends while it still takes running guests over would take them down: domstats waits until it has them all.
host_virsh() { # HOST ARGS...
    local name=$1; shift
    if [[ $(host_kind "$name") == libvirtd ]]; then
        virsh -q -c "$(host_uri "$name")" "$@"
        return
    fi
    ! proc_pid "worker-$name" >/dev/null || die "the worker of $name is its hypervisor's daemon; stop it first: stack worker stop $DIR $name"
    (
        flock 8
        LIBVIRT_LOG_OUTPUTS="3:file:$DIR/logs/virsh-$name.log" "$stack_here/in-host" "$(host_dir "$name")" \
            virsh -q -c "$(host_uri "$name")" "domstats --block; echo taken-over; $(printf '%q ' "$@")" |
            sed '1,/^taken-over/{ s/^taken-over//; t; d }'
    ) 8>"$DIR/hosts/$name/virsh.lock"
}

host_qemu_pids() { # HOST: of all QEMUs of that host, whoever started them
    local host pid
    host=$(host_dir "$1")
    for pid in $(pgrep qemu-system || true); do
        ! grep -qsF "$host/" "/proc/$pid/cmdline" || echo "$pid"
    done
}

host_down() { # HOST: guests are switched off hard, nobody needs their data any more
    local pid
    proc_stop "libvirtd-$1" TERM 5
    for pid in $(host_qemu_pids "$1"); do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait_until 60 host_is_quiet "$1" || say "stack: a QEMU of $1 does not go away"
    # As after a reboot: libvirt shall not look for the guests that ran.
    rm -rf "$DIR/hosts/$1"/vm/run/* "$DIR/hosts/$1"/vm/lib/qemu/domain-* "$DIR/hosts/$1"/vm/lib/qemu/channel/target/*
}

host_is_quiet() { [[ -z $(host_qemu_pids "$1") ]]; }
