#!/bin/sh
# Installs the Debian packages that the lab tests need and that are missing here, and starts none of their daemons.
#
# Run by `make test`. It acts only as root on Debian; for anyone else it changes nothing and says in one line how to
# have the lab. Nothing missing: nothing said. Exit 0, unless REALMKIT_LAB=required and something is still missing.
#
#   LAB=no                 leave the lab out
#   REALMKIT_LAB=required  a missing lab is a failure
#   LAB_ALSO               further packages, such as the peers that `make bench` measures
#   POLICY_RC_D            where invoke-rc.d looks for its policy (this script's own test moves it)
set -u

packages="bind9 bind9-utils bind9-dnsutils knot knot-dnsutils knot-dnssecutils nsd pdns-server pdns-backend-sqlite3
sqlite3 unbound iproute2 kamailio kamailio-tls-modules openssl baresip-core sip-tester openssh-server openssh-client
${LAB_ALSO:-}"
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
saved=$policy.before-realmkit-lab
marker="# put here by realmkit's tests/lab/install.sh for the time of an installation"
required=${REALMKIT_LAB:-no}

say() { printf 'lab: %s\n' "$1" >&2; }

give_up() { # without the lab: a failure only where it is required
    say "$1"
    [ "$required" = required ] && exit 1
    exit 0
}

missing_packages() {
    for package in $packages; do
        state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || state=absent
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

put_policy_back() { # also after a run that was killed half way: what it left behind is recognised
    if [ -e "$saved" ] || [ -L "$saved" ]; then
        mv -f "$saved" "$policy"
    elif [ -f "$policy" ] && grep -qxF "$marker" "$policy"; then
        rm -f "$policy"
    fi
}

hold_daemons() { # exit 101: "action forbidden by policy" (invoke-rc.d(8))
    put_policy_back
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        mv "$policy" "$saved" || return 1
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$marker" >"$policy" && chmod 755 "$policy"
}

if [ "${LAB:-}" = no ]; then
    [ "$required" = required ] && give_up "LAB=no and REALMKIT_LAB=required contradict each other"
    exit 0
fi
command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 ||
    give_up "not a Debian machine; the lab tests want these there: $(echo $packages)"
missing=$(missing_packages)
[ -z "$missing" ] && exit 0
[ "$(id -u)" = 0 ] || give_up "left out (not root); to have it: sudo apt-get install ${missing% }, then make test as root"

log=$(mktemp) || exit 1
trap 'put_policy_back; rm -f "$log"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
say "installing ${missing% } (no daemon is started; LAB=no leaves this out)"
hold_daemons || give_up "can't write $policy, so nothing was installed"
export DEBIAN_FRONTEND=noninteractive
# $missing is a list of words on purpose
apt-get -q update >"$log" 2>&1
if ! apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold \
    install --no-install-recommends $missing >>"$log" 2>&1; then
    tail -n 15 "$log" >&2
    give_up "the installation failed; LAB=no make test does without"
fi
exit 0
