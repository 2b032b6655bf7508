#!/usr/bin/env bash
# Installs into a folder of its own, moves it, builds programs against it by CMake and by pkg-config, and runs them.
#   test_install.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix" # everything is found from where the files are
mkdir "$work/consumer"
cp "$source/tests/install/consumer.c" "$source"/examples/*.c "$work/consumer"
cat > "$work/consumer/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(spikeport CONFIG REQUIRED)
foreach(name consumer devices train infer)
    add_executable(${name} ${name}.c)
    target_compile_options(${name} PRIVATE -Wall -Wextra -Werror)
    target_link_libraries(${name} PRIVATE spikeport::spikeport)
endforeach()
END
cmake -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/consumer/build" >/dev/null
cd "$work/consumer/build"
./consumer synthetic_tiny "$work/run1" # an installed recipe by its name
./devices | grep '^\*' # one is the default
./train model.safetensors | tee train.txt
grep -q '3[0-2] of 32 new images are right' train.txt
./infer model.safetensors >infer.txt # not to grep -q, which may leave a writer without a reader
grep -q 'time step 4: .* of 32 neurons of layer 2 fire' infer.txt
pc=$(find "$work/prefix" -name spikeport.pc)
export PKG_CONFIG_PATH=${pc%/*}
# shellcheck disable=SC2046 # flags are words
cc "$source/tests/install/consumer.c" $(pkg-config --cflags --libs spikeport) -o "$work/consumer2"
LD_LIBRARY_PATH=$(pkg-config --variable=libdir spikeport) "$work/consumer2" synthetic_tiny "$work/run2"
"$work/prefix/bin/spikeport" version
(cd / && "$work/prefix/bin/spikeport" train synthetic_tiny --set epochs=1 --out "$work/run3")
if command -v man >/dev/null; then
    man -l "$work"/prefix/share/man/man1/spikeport-train.1 >man.txt 2>/dev/null
    grep -q -- --resume man.txt
fi
# what was installed from this build tree last goes away again
cmake --install "$build" --prefix "$work/again" >/dev/null
cmake -P "$build/uninstall.cmake" >/dev/null
[ -z "$(find "$work/again" -type f)" ] || { find "$work/again" -type f; exit 1; }
# only the public names leave the library, and all of them: a name that goes away breaks programs
nm -D --defined-only "$(find "$work/prefix" -name 'libspikeport.so')" | awk '{print $3}' | sort |
    diff "$source/tests/install/symbols.txt" - || {
    echo "the names that the library exports are not those of tests/install/symbols.txt" >&2
    exit 1
}
