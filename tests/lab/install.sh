#!/bin/sh
# Install what is missing of tests/lab/packages: install.sh GROUP...
# Says one sentence for each package that cannot be had and exits 1 then. Root or sudo.
set -u
list=$(dirname "$0")/packages

present() { # package program
    if [ "$2" != - ]; then
        command -v "$2" >/dev/null 2>&1
    else
        dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
    fi
}

missing=
for group in "$@"; do
    while read -r g package program _; do
        [ "$g" = "$group" ] || continue
        present "$package" "$program" || missing="$missing $package"
    done <"$list"
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "These packages are missing and installing them needs root or sudo:$missing" >&2
        exit 1
    fi
    root=sudo
fi
log=$(mktemp)
made=
# Daemons that Debian starts on installation would hold the lab's ports: forbid that, for this run.
policy=/usr/sbin/policy-rc.d
trap 'rm -f "$log"; [ -z "$made" ] || $root rm -f "$policy"' EXIT
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null && $root chmod 755 "$policy" && made=1
fi
apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" \
        </dev/null >>"$log" 2>&1
}
echo "Installing:$missing"
apt update
if ! apt install --no-install-recommends $missing; then
    for package in $missing; do # one by one, to say which cannot be had
        apt install --no-install-recommends "$package"
    done
fi
status=0
for package in $missing; do
    line=$(grep -E "^[a-z]+ +$package " "$list" | head -n 1)
    # shellcheck disable=SC2086
    set -- $line
    if ! present "$2" "$3"; then
        shift 3
        echo "The package $package ($*) could not be installed:" \
             "$(grep -E '^E: ' "$log" | tail -n 1)" >&2
        status=1
    fi
done
exit $status
