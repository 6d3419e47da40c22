# shellcheck shell=bash
# Guests: small real machines (tests/guest) with a real guest agent on ext4, and a shell port of their own for the tests.

# Half of what the kernel does until the guest is up is to test its ciphers and to check certificates.
less_work='cryptomgr.notests initcall_blacklist=load_system_certificate_list,init_blk_tracer'

guest_image() { "$source_root/tests/guest/build"; }

guest_create() { # HOST NAME [--label KEY=VALUE]... [--disk FORMAT:SIZE]... [--memory MIB]
    local host_name=$1 name=$2 labels='' disks='' memory=128 letter=b image host
    shift 2
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "guest $name: letters, digits, '.', '_' and '-' only"
    host=$(host_dir "$host_name")
    image=$(guest_image)
    [[ -e $host/boot/initrd ]] || cp "$image"/{vmlinuz,initrd} "$host/boot/"
    cp "$image/disk.qcow2" "$host/disks/$name.qcow2"
    disks=$(disk_xml qcow2 "$host/disks/$name.qcow2" vda)
    while (($#)); do
        case $1 in
        --label) labels+=$(label_xml "$2") ;;
        --memory) memory=$2 ;;
        --disk)
            qemu-img create -q -f "${2%%:*}" "$host/disks/$name-$letter.${2%%:*}" "${2#*:}"
            disks+=$(disk_xml "${2%%:*}" "$host/disks/$name-$letter.${2%%:*}" "vd$letter")
            letter=$(tr b-y c-z <<<"$letter") ;;
        *) die "guest create: unknown option $1" ;;
        esac
        shift 2
    done
    domain_xml >"$host/disks/$name.xml.new"
    host_virsh "$host_name" define "$host/disks/$name.xml.new" >/dev/null
    mv "$host/disks/$name.xml.new" "$host/disks/$name.xml" # which says that it is defined
    keep_capabilities "$host_name"
}

label_xml() { # KEY=VALUE
    [[ $1 =~ ^[A-Za-z0-9._/-]+=[A-Za-z0-9._/-]*$ ]] || die "label $1: KEY=VALUE"
    echo "<fleetsnap:label name=\"${1%%=*}\" value=\"${1#*=}\"/>"
}

disk_xml() { # FORMAT FILE TARGET
    echo "<disk type='file' device='disk'><driver name='qemu' type='$1' discard='unmap'/><source file='$2'/><target dev='$3' bus='virtio'/></disk>"
}

# From its caller: name, labels, disks, memory, host. The ports have no path, so that a restored copy gets its own.
domain_xml() {
    cat <<XML
<domain type='qemu'>
  <name>$name</name>
  <metadata>
    <fleetsnap:labels xmlns:fleetsnap="https://fleetsnap.dev/xmlns/labels/1">$labels</fleetsnap:labels>
  </metadata>
  <memory unit='MiB'>$memory</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>$host/boot/vmlinuz</kernel>
    <initrd>$host/boot/initrd</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on tsc=reliable no_timer_check $less_work</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    $disks
    <controller type='usb' model='none'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='unix'><target type='virtio' name='dev.fleetsnap.shell'/></channel>
    <serial type='pty'><log file='$host/console/$name.log' append='on'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
XML
}

guest_start() { # HOST NAME
    host_virsh "$1" start "$2" >/dev/null
}

guest_stop() { # HOST NAME: the plug is pulled
    host_virsh "$1" destroy "$2" >/dev/null
}

# libvirt's folder of a running domain is domain-ID-NAME, the name cut to 20 characters. A killed QEMU may
# leave one behind: the newest counts. Where it is depends on who libvirt runs as.
guest_socket() { # HOST NAME
    local socket newest=
    while read -r socket; do
        [[ ${socket%/*} =~ /domain-[0-9]+-([^/]*)$ && ${BASH_REMATCH[1]} == "${2:0:20}" ]] || continue
        [[ -z $newest || $socket -nt $newest ]] && newest=$socket
    done < <(find "$(host_dir "$1")/vm" -path '*/channel/target/domain-*' -name dev.fleetsnap.shell 2>/dev/null)
    [[ -n $newest ]] && echo "$newest"
}

guest_exec() { # HOST NAME COMMAND...: output and exit code of the command; 124: no answer in time, 125: guest is off
    local socket host=$1 name=$2
    shift 2
    wait_until "${GUEST_TIMEOUT:-60}" guest_socket "$host" "$name" >/dev/null || { say "stack: guest $name on $host is not running"; return 125; }
    socket=$(guest_socket "$host" "$name")
    "$stack_here/guest_shell.py" "$socket" "${GUEST_TIMEOUT:-60}" "$*"
}

guest_ready() { # HOST NAME: it answers, and the agent runs in it
    GUEST_TIMEOUT=180 guest_exec "$1" "$2" 'until pidof qemu-ga >/dev/null; do usleep 50000; done'
}

guest_hash() { # HOST NAME FOLDER
    guest_exec "$1" "$2" "guest-hash '$3'"
}
