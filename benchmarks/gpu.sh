#!/usr/bin/env bash
# Tests and measurements on a machine with an NVIDIA GPU, torch, triton, nvcc and ninja; no network.
#
#   benchmarks/gpu.sh                  all parts that have not been done with this code yet
#   benchmarks/gpu.sh renderer report  these parts
#
# Each part fits PART_SECONDS (540). What is done is remembered in GPU_OUT (build/gpu), by what the
# code reads like. Packages that are missing are taken from wheels in the folder WHEELS (.whl).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${GPU_OUT:-build/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# The package as it would be installed: kernels/ and csrc/ lie inside it.
site=$out/site
rm -rf "$site" && mkdir -p "$site/biofacenet"
for path in biofacenet/*; do ln -s "$PWD/$path" "$site/biofacenet/"; done
ln -s "$PWD/kernels" "$PWD/csrc" "$site/biofacenet/"
export PYTHONPATH=$site:$PWD${PYTHONPATH:+:$PYTHONPATH}
export PYTHONSAFEPATH=1 # else the checkout itself would come first; from Python 3.11 on

missing() {
    local name
    for name in torch triton numpy scipy h5py matplotlib rich safetensors PIL ninja pytest; do
        "$python" -c "import $name" 2>/dev/null || echo "$name"
    done
}
if [ -n "$(missing)" ] && compgen -G "${WHEELS:-.whl}/*.whl" >/dev/null; then
    "$python" -m pip install --quiet --no-index --no-deps --upgrade --target "$out/wheels" \
        "${WHEELS:-.whl}"/*.whl
    export PYTHONPATH=$PYTHONPATH:$out/wheels
fi
if [ -n "$(missing)" ]; then
    echo "error: python packages are missing:" $(missing) "- put their wheels into ${WHEELS:-.whl}" >&2
    exit 2
fi

build() { BIOFACENET_REQUIRE_NATIVE=1 "$python" -m biofacenet.doctor; }
# Without the options of the whole suite, whose plugins may be missing here.
pytest=("$python" -m pytest -q -o addopts= -p no:cacheprovider)
gpu_tests=(tests/kernels/test_gpu.py tests/kernels/test_only_gpu.py)
tests() { BIOFACENET_REQUIRE_NATIVE=1 "${pytest[@]}" "${gpu_tests[@]}"; }
sanitizer() {
    command -v compute-sanitizer >/dev/null || { echo "no compute-sanitizer here"; return 0; }
    local tool
    for tool in memcheck racecheck; do
        compute-sanitizer --tool "$tool" --error-exitcode 1 --target-processes all \
            "${pytest[@]}" "${gpu_tests[0]}" -k sanitizer
    done
}
renderer() { "$python" -m benchmarks.gpu renderer --out "$out"; }
training() { "$python" -m benchmarks.gpu training --out "$out"; }
launches() { "$python" -m benchmarks.gpu launches --out "$out"; }
report() { "$python" -m benchmarks.gpu report --out "$out" --results "${RESULTS:-benchmarks/results}"; }

if [ "${1:-}" = --part ]; then # within a part's own process, under its time limit
    "$2"
    exit
fi

code=$(find biofacenet kernels csrc benchmarks tests/kernels -type f ! -name '*.pyc' ! -path '*/results/*' \
    -exec sha256sum {} + | sort | sha256sum | cut -c1-16)
parts=(build tests sanitizer renderer training launches report)
failed=()
for part in "${@:-${parts[@]}}"; do
    case " ${parts[*]} " in *" $part "*) ;; *)
        echo "error: no part $part; there are ${parts[*]}" >&2
        exit 2
        ;;
    esac
    stamp=$out/$part.$code.done
    if [ $# -eq 0 ] && [ "$part" != report ] && [ -e "$stamp" ]; then
        echo "== $part: done before"
        continue
    fi
    echo "== $part"
    if timeout "${PART_SECONDS:-540}" bash "$0" --part "$part"; then
        touch "$stamp"
    else
        echo "== $part: failed with status $?" >&2
        failed+=("$part")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
