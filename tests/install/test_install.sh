#!/usr/bin/env bash
# Installs into a folder of its own, builds a consumer against it by CMake and by pkg-config, and runs both.
#   test_install.sh BUILD_DIR SOURCE_DIR
set -euo pipefail
build=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
mkdir "$work/consumer"
cp "$source/tests/install/consumer.c" "$work/consumer"
cat > "$work/consumer/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(spikeport CONFIG REQUIRED)
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE spikeport::spikeport)
END
cmake -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/consumer/build" >/dev/null
"$work/consumer/build/consumer" "$source/recipes/synthetic_tiny.yaml" "$work/run1"
pc=$(find "$work/prefix" -name spikeport.pc)
export PKG_CONFIG_PATH=${pc%/*}
# shellcheck disable=SC2046 # flags are words
cc "$source/tests/install/consumer.c" $(pkg-config --define-prefix --cflags --libs spikeport) -o "$work/consumer2"
LD_LIBRARY_PATH=$(pkg-config --define-prefix --variable=libdir spikeport) \
    "$work/consumer2" "$source/recipes/synthetic_tiny.yaml" "$work/run2"
"$work/prefix/bin/spikeport" version
"$work/prefix/bin/spikeport" train "$work/prefix/share/spikeport/recipes/synthetic_tiny.yaml" --set epochs=1 --out "$work/run3"
# only the public names leave the library
extra=$(nm -D --defined-only "$(find "$work/prefix" -name 'libspikeport.so')" | awk '{print $3}' |
    grep -vE '^sp_(version|run_|status_|log_install$|log_set_level$)' || true)
if [ -n "$extra" ]; then
    echo "names that should be hidden: $extra" >&2
    exit 1
fi
