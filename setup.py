"""Package layout; everything else is in pyproject.toml.

`kernels/` lies at the top of the repository and is installed as `biofacenet.kernels`.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["biofacenet", "biofacenet.*"]), "biofacenet.kernels"],
    package_dir={"biofacenet.kernels": "kernels"},
    package_data={"biofacenet": ["py.typed"], "biofacenet.physics": ["figures/*.csv"]},
)
