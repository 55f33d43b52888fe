"""Package layout and the prebuilt native library; everything else is in pyproject.toml.

`kernels/` and `csrc/` lie at the top of the repository and are installed inside the package. Where
torch can be imported while building (wheels, `--no-build-isolation`), the C++ library is compiled and
goes into the wheel, and so is the CUDA library where there is nvcc; elsewhere they are compiled on
first use. With BIOFACENET_REQUIRE_NATIVE=1 a failure
stops the build; otherwise it never does.
"""

import importlib.util
import os
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def native():
    """kernels/build.py, without importing the package."""
    spec = importlib.util.spec_from_file_location("_native_build", HERE / "kernels" / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def libraries(build):
    """What can be built here: the CPU's, and CUDA's where there is nvcc."""
    try:
        build.cuda_compiler()
    except build.BuildError as error:
        print(f"biofacenet: no CUDA library in this build ({error})")
        return [build.CPU]
    return [build.CPU, build.CUDA]


class BuildWithLibrary(build_py):
    """Copies the package, then adds the libraries."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        build = native()
        try:
            try:
                import torch
            except ImportError as error:
                raise build.BuildError(f"torch is not importable here ({error})") from error
            found = build.Torch.at(torch.__version__, Path(torch.__file__).parent)
            for library in libraries(build):
                target = Path(self.build_lib) / "biofacenet" / "kernels" / library.file
                build.build(library, found, target)
        except build.BuildError as error:
            if os.environ.get("BIOFACENET_REQUIRE_NATIVE", "0") not in ("", "0"):
                raise SystemExit(f"error: native library: {error}") from error
            print(f"biofacenet: no native library in this build ({error}); compiled on first use")


def has_library(folder):
    """Whether a build folder holds the library."""
    return any(Path(folder).glob("biofacenet/kernels/libbiofacenet_cpu.*"))


class TaggedWheel(bdist_wheel):
    """A wheel with a library is for one platform, but for any Python: the library uses no Python."""

    def get_tag(self):
        build_lib = self.get_finalized_command("build").build_lib
        if not has_library(build_lib):
            return "py3", "none", "any"
        return "py3", "none", super().get_tag()[2]

    def run(self):
        # Known only after the build: whether the wheel holds a library, and is for one platform.
        self.run_command("build")
        native = has_library(self.get_finalized_command("build").build_lib)
        self.root_is_pure = not native
        self.distribution.has_ext_modules = lambda: native
        self.skip_build = True
        super().run()


setup(
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": TaggedWheel},
    packages=[
        *find_packages(include=["biofacenet", "biofacenet.*"]),
        "biofacenet.kernels",
        "biofacenet.kernels.triton",
        "biofacenet.csrc",
        "biofacenet.csrc.cpu",
        "biofacenet.csrc.cuda",
    ],
    package_dir={
        "biofacenet.kernels": "kernels",
        "biofacenet.kernels.triton": "kernels/triton",
        "biofacenet.csrc": "csrc",
        "biofacenet.csrc.cpu": "csrc/cpu",
        "biofacenet.csrc.cuda": "csrc/cuda",
    },
    package_data={
        "biofacenet": ["py.typed"],
        "biofacenet.network": ["weights/*/*"],
        "biofacenet.photos": ["*.png", "yunet/*"],
        "biofacenet.training": ["*.html"],
        "biofacenet.web": ["*.css", "examples/*.jpg"],
        "biofacenet.physics": ["figures/*.csv"],
        "biofacenet.csrc": ["*.h", "*.md"],
        "biofacenet.csrc.cpu": ["*.h", "*.cpp"],
        "biofacenet.csrc.cuda": ["*.cuh", "*.cu"],
    },
)
