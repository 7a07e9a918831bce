#!/bin/sh
# Certificates for freeDiameter nodes. The library insists on one even when every peer is spoken to
# without TLS, and its CN must be the node's Identity.
#
#   . certs.sh; make_diameter_certs DIR IDENTITY...     (as a function)
#   certs.sh DIR IDENTITY...                            (as a command)
#
# Leaves DIR/ca.pem, and per identity DIR/IDENTITY.cert.pem and DIR/IDENTITY.key.pem. What exists is kept.

make_diameter_certs() {
    certs_dir=$1
    shift
    mkdir -p "$certs_dir" || return 1
    if [ ! -f "$certs_dir/ca.pem" ]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
            -subj "/CN=lab Diameter CA" -keyout "$certs_dir/ca.key.pem" -out "$certs_dir/ca.pem" \
            2>/dev/null || return 1
    fi
    for certs_id in "$@"; do
        [ -f "$certs_dir/$certs_id.cert.pem" ] && continue
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj "/CN=$certs_id" -keyout "$certs_dir/$certs_id.key.pem" \
            -out "$certs_dir/$certs_id.csr" 2>/dev/null || return 1
        openssl x509 -req -in "$certs_dir/$certs_id.csr" -CA "$certs_dir/ca.pem" \
            -CAkey "$certs_dir/ca.key.pem" -CAcreateserial -days 3650 \
            -out "$certs_dir/$certs_id.cert.pem" 2>/dev/null || return 1
        rm -f "$certs_dir/$certs_id.csr"
    done
}

case ${0##*/} in
certs.sh)
    [ $# -ge 2 ] || { echo "usage: certs.sh DIR IDENTITY..." >&2; exit 2; }
    make_diameter_certs "$@"
    ;;
esac
