"""Renderer and training step on a GPU, part by part; `benchmarks/gpu.sh` runs all of it.

python -m benchmarks.gpu renderer
python -m benchmarks.gpu training
python -m benchmarks.gpu launches
python -m benchmarks.gpu report
"""
