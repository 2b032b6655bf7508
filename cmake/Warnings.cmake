# Warnings are targets: the library and the program are built with sp_warnings, the tests with a milder set
# because Criterion's macros trip -Wconversion.
add_library(sp_warnings INTERFACE)
target_compile_options(sp_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wdouble-promotion
    -Wformat=2 -Wpointer-arith -Wwrite-strings)
add_library(sp_test_warnings INTERFACE)
target_compile_options(sp_test_warnings INTERFACE -Wall -Wextra -Wundef -Wformat=2)

if(SPIKEPORT_SANITIZE)
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=address,undefined)
endif()
if(SPIKEPORT_FUZZ) # tests/fuzz; clang only
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=address,undefined)
endif()
