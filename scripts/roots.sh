# Debian systems in folders, for the long runs that need another one than this; sourced, as root, on Debian or Ubuntu.
# They stay in $roots (MARTLET_ROOTS, else /var/tmp/martlet-roots): removing that folder is always safe.
roots=${MARTLET_ROOTS:-/var/tmp/martlet-roots}
mirror=${MARTLET_MIRROR:-http://deb.debian.org/debian}

say() { printf '%-10s %s\n' "$1" "$2"; }
fail() {
    printf '%-10s %s\n' "error" "$1" >&2
    exit 1
}

# need COMMAND PACKAGE
need() {
    command -v "$1" >/dev/null && return
    say install "$2 (apt-get)"
    { apt-get update && apt-get install -y --no-install-recommends "$2"; } >/dev/null 2>&1 || fail "no $1: apt-get install $2"
}

# make_root SUITE PACKAGE,...: the folder $roots/SUITE.
make_root() {
    [[ $(id -u) = 0 ]] || fail "a Debian root is made by root alone"
    need debootstrap debootstrap
    [[ -e $roots/$1/done ]] && return
    say root "$1"
    rm -rf "${roots:?}/$1"
    mkdir -p "$roots"
    debootstrap --variant=minbase --include="$2" "$1" "$roots/$1" "$mirror" >"$roots/$1.log" 2>&1 ||
        fail "debootstrap $1 failed; all it said is in $roots/$1.log"
    touch "$roots/$1/done"
}

# enter ROOT COMMAND: with this repository at /martlet, unchangeable, and a home for what is built.
enter() {
    mkdir -p "$1/martlet" "$1/build"
    unshare -m bash -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
        mount --bind "$1" "$0/martlet" && mount -o remount,ro,bind "$0/martlet" &&
        exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/libexec/swift/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive /bin/bash -ec "$2"' "$1" "$root" "$2"
}
