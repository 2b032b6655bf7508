# Script: cmake -DROOT=<source dir> -DLIST=<file with "origin;path" lines> -DOUT=<file.c> -P EmbedCl.cmake
# Writes the listed text files as C arrays and a table {path, text, origin}. CMake alone does it: no xxd, no Python.
file(STRINGS ${LIST} lines)
set(arrays "")
set(rows "")
set(i 0)
foreach(line ${lines})
    string(REGEX MATCH "^([A-Z_]+) (.+)$" unused "${line}")
    set(origin ${CMAKE_MATCH_1})
    set(path ${CMAKE_MATCH_2})
    file(READ ${ROOT}/${path} hex HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    string(APPEND arrays "static const unsigned char text_${i}[] = {\n${hex}0};\n")
    string(APPEND rows "    {\"${path}\", (const char *)text_${i}, ${origin}},\n")
    math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by cmake/EmbedCl.cmake from the files named below; do not edit. */\n"
     "#include \"registry/embedded.h\"\n\n${arrays}\n"
     "const sp_embedded sp_embedded_files[] = {\n${rows}    {0, 0, SP_EMBEDDED_COMMON}};\n"
     "const size_t sp_embedded_count = ${i};\n")
