#!/usr/bin/env bash
# Make an environment with the original sonar-space and transformers, and a fresh set of goldens:
#
#   oracle.sh ENVIRONMENT GOLDENS SEED
#
# ENVIRONMENT is kept and used again when it is complete (about 7 GB); GOLDENS is replaced.
# PYTHON names an interpreter that fairseq2 has wheels for (3.10 to 3.13).
set -euo pipefail

if [ $# -ne 3 ]; then
    echo "usage: oracle.sh ENVIRONMENT GOLDENS SEED" >&2
    exit 2
fi
environment=$1 goldens=$2 seed=$3
here=$(cd "$(dirname "$0")" && pwd)
packages="sonar-space==0.5.0 fairseq2==0.8.1 torch==2.9.1 transformers==4.57.6 sentencepiece==0.2.3"

say() { echo "oracle: $*" >&2; }

pick_python() {
    for candidate in ${PYTHON:-python3.12 python3.11 python3.13 python3.10 python3}; do
        if "$candidate" -c "import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "found no Python between 3.10 and 3.13; set PYTHON to one"
    return 1
}

has_libsndfile() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libsndfile\.so\.1'; }

if ! has_libsndfile && command -v apt-get >/dev/null; then
    say "installing libsndfile1, which fairseq2 links"
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get -qq update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y libsndfile1 >/dev/null
fi

# The mark is made last and holds what was asked for, so a half-made environment is never used.
mark=$environment/complete
if [ "$(cat "$mark" 2>/dev/null)" != "$packages" ]; then
    say "installing $packages (minutes, several GB)"
    rm -rf "$environment"
    "$(pick_python)" -m venv "$environment"
    # shellcheck disable=SC2086
    "$environment/bin/python" -m pip install -qq --disable-pip-version-check $packages
    echo "$packages" >"$mark"
fi

say "training and asking the original, seed $seed"
PYTHONWARNINGS=ignore HF_HUB_OFFLINE=1 \
    "$environment/bin/python" "$here/make_goldens.py" --out "$goldens" --seed "$seed"
PYTHONWARNINGS=ignore PYTHONPATH=$here/../.. \
    "$environment/bin/python" "$here/check_sonar_space.py" "$goldens"
