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
    biofacenet synthesize --heads "$heads" --out data/heads-96 --count 5000 --holdout 300 --size 96 --seed 11
fi

rm -rf data/london-kept
mkdir -p data/london-kept
for file in "$photos"/*; do
    name=$(basename "$file")
    grep -qx "${name%%_*}" "$aside" || ln -s "$(realpath "$file")" "data/london-kept/$name"
done
# Normals and parts of the photographs are those of the network in the package.
biofacenet prepare data/london-kept --out data/london-96 --size 96

# Faces, photographs and other surroundings from the beginning; then more spots, twice from a lower rate.
# In the first of the three, spots and highlights counted no more than the skin around (commit aac29b3).
train() { # folder, then how it begins
    local out=$1
    shift
    if [ -d "$out" ]; then
        set -- --resume "$out"
    else
        set -- "$@" --preset shipped --data data/heads-96 --photos data/london-96 --in-memory \
            --precision bfloat16 --out "$out"
    fi
    torchrun --nproc-per-node 2 -m biofacenet.train "$@"
}
train runs/faces --epochs 13 --variety 0.5
train runs/spots --from runs/faces/model --epochs 4 --learning-rate 1e-3 --average 0.995 --variety 0.7
train runs/shipped --from runs/spots/model --epochs 3 --learning-rate 7e-4 --average 0.995 --variety 0.7 --seed 1
biofacenet evaluate --model runs/shipped/model --calibrate --count 1000
