#!/usr/bin/env bash
# The weights that come with the package, by the recipe they were made by, in ./runs/shipped; what a stopped run
# has done is kept, and the same command goes on.
#
#   bash benchmarks/shipped.sh FaceXModel faces/london
#
# FaceXModel: the head model of ICT-FaceKit (github.com/ICT-VGL/ICT-FaceKit), its folder or an NPZ file of it.
# faces/london: photos ID_neutral.jpg and ID_smiling.jpg with landmarks.csv and people.csv, such as the Face
# Research Lab London Set (DeBruine and Jones 2017, figshare 5047666, CC BY 4.0).
# The people that benchmarks/results/shipped/held_aside.txt names are left out: they are for `evaluate --photos`.
set -euo pipefail
heads=${1:?head model: see the head of this file} photos=${2:?folder of photos: see the head of this file}
here=$(cd "$(dirname "$0")" && pwd)
aside="$here/results/shipped/held_aside.txt"

if [ ! -f data/heads-96/settings.json ]; then
    biofacenet synthesize --heads "$heads" --out data/heads-96 --count 3000 --holdout 300 --size 96 --seed 1
fi

rm -rf data/london-kept
mkdir -p data/london-kept
for file in "$photos"/*; do
    name=$(basename "$file")
    grep -qx "${name%%_*}" "$aside" || ln -s "$(realpath "$file")" "data/london-kept/$name"
done
biofacenet prepare data/london-kept --out data/london-96 --size 96

# Heads framed as photographs are, before walls of every brightness, twice beside the others.
if [ ! -f data/heads-96-framed/settings.json ]; then
    biofacenet synthesize --heads "$heads" --out data/heads-96-framed --count 900 --holdout 60 --size 96 --seed 2
fi
rm -rf data/heads-96-all
mkdir -p data/heads-96-all
for kind in d10_inmc d3_lrgb truth; do
    link() { # of which set, which file, as which
        ln -s "$(realpath "data/$1/zx_7_${kind}_synthetic_$2.hdf5")" "data/heads-96-all/zx_7_${kind}_synthetic_$3.hdf5"
    }
    link heads-96 01 01
    link heads-96-framed 01 02
    link heads-96-framed 01 03
    link heads-96-framed 20 20
done

# Faces and photographs first; then, all else as it is, what the surroundings tell; then all of it with other
# surroundings and spots, in three turns; and in the end seven tenths of the way from before those to after.
# The faces of the first two turns came from the generator before heads were framed so (commit ef91288).
train() { # folder, faces, then how it begins
    local out=$1 faces=$2
    shift 2
    if [ -d "$out" ]; then
        set -- --resume "$out"
    else
        set -- "$@" --preset shipped --data "data/$faces" --photos data/london-96 --out "$out"
    fi
    torchrun --nproc-per-node 2 -m biofacenet.train "$@"
}
train runs/first heads-96 --in-memory
train runs/around heads-96 --in-memory --from runs/first/model --epochs 1 --learning-rate 2e-3 --average 0.97 \
    --learn surroundings
train runs/variety1 heads-96-all --from runs/around/model --epochs 2 --learning-rate 1e-3 --average 0.99 --variety 0.5
train runs/variety2 heads-96-all --from runs/variety1/model --epochs 2 --learning-rate 6e-4 --average 0.99 --variety 0.5
train runs/variety3 heads-96-all --from runs/variety2/model --epochs 1 --learning-rate 5e-4 --average 0.985 --variety 0.5
python -m benchmarks.mixed runs/around/model runs/variety3/model runs/shipped/model --share 0.7
biofacenet evaluate --model runs/shipped/model --calibrate --count 1000
