"""Builds libspikeport with CMake into the package: the library, its plugins, recipes and wisdom, and the shared libraries
that it needs but for the C library and the OpenCL loader."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "source" if (HERE / "source").is_dir() else HERE.parent  # an sdist carries the sources of the library
PARTS = ["CMakeLists.txt", "cmake", "host", "cl_kernels", "plugins", "datasets", "recipes", "wisdom", "examples", "docs",
         "scripts", "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff"]
OF_THE_SYSTEM = re.compile(r"lib(c|m|dl|rt|pthread|OpenCL|stdc\+\+|gcc_s)\.so|ld-linux|linux-vdso")


def version() -> str:
    return re.search(r"VERSION (\d+\.\d+\.\d+)", (SOURCE / "CMakeLists.txt").read_text()).group(1)


def needed(library: Path) -> list:
    """Paths of the shared libraries that it needs and a system may lack."""
    lines = subprocess.run(["ldd", library], check=True, capture_output=True, text=True).stdout.splitlines()
    found = [re.match(r"\s*(\S+) => (/\S+)", line) for line in lines]
    return [Path(m.group(2)) for m in found if m and not OF_THE_SYSTEM.match(m.group(1)) and "libspikeport" not in m.group(1)]


class Build(build_py):
    def run(self) -> None:
        super().run()
        prefix = (Path(self.build_lib) / "spikeport" / "_prefix").resolve()
        build = (Path(self.get_finalized_command("build").build_temp) / "cmake").resolve()
        shutil.rmtree(prefix, ignore_errors=True)
        # old-style RPATH, so that the libraries beside ours find each other
        subprocess.run(["cmake", "-S", SOURCE, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DSPIKEPORT_BUILD_TESTS=OFF",
                        "-DSPIKEPORT_WITH_HDF5=OFF", "-DSPIKEPORT_WITH_CAIRO=OFF",
                        "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_INSTALL_RPATH=$ORIGIN;$ORIGIN/../..",
                        "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,--disable-new-dtags"], check=True)
        subprocess.run(["cmake", "--build", build, "--parallel", str(os.cpu_count() or 1)], check=True)
        subprocess.run(["cmake", "--install", build, "--prefix", prefix, "--strip"], check=True)
        for part in ("bin", "include", "lib/cmake", "lib/pkgconfig", "share/doc", "share/man", "share/bash-completion",
                     "share/zsh"):
            shutil.rmtree(prefix / part, ignore_errors=True)
        for link in (prefix / "lib").glob("libspikeport.so*"):  # one file under the name that programs load
            if link.name != "libspikeport.so.0":
                if not link.is_symlink():
                    link.rename(prefix / "lib" / "libspikeport.so.0")
                else:
                    link.unlink()
        own = [prefix / "lib" / "libspikeport.so.0", *prefix.glob("lib/spikeport/plugins/*.so")]
        for path in {p.name: p for library in own for p in needed(library)}.values():
            shutil.copy(path, prefix / "lib" / path.name)


class Source(sdist):
    def make_release_tree(self, base_dir: str, files: list) -> None:
        super().make_release_tree(base_dir, files)
        for part in PARTS:
            target = Path(base_dir) / "source" / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if (SOURCE / part).is_dir():
                shutil.copytree(SOURCE / part, target)
            elif (SOURCE / part).exists():
                shutil.copy(SOURCE / part, target)


class Wheel(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple:
        return ("py3", "none", super().get_tag()[2])  # any Python 3: the library is reached through ctypes


class Binary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(version=version(), distclass=Binary, cmdclass={"build_py": Build, "sdist": Source, "bdist_wheel": Wheel})
