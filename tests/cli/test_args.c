/* The option reader, over kinds of options that the shell tests of the commands do not all reach. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>
#include "cli/args.h"

static bool json, resume;
static const char *device;
static int64_t seed;
static sp_arg_list sets, rest;

static const sp_arg options[] = {
    {"json", 0, SP_ARG_FLAG, &json, NULL, "json", 0, 0},
    {"resume", 0, SP_ARG_SWITCH, &resume, NULL, "resume", 0, 0},
    {"device", 'd', SP_ARG_TEXT, &device, "SEL", "device", 0, 0},
    {"seed", 's', SP_ARG_INTEGER, &seed, "N", "seed", 0, 1000},
    {"set", 0, SP_ARG_LIST, &sets, "K=V", "set", 0, 0},
};
static const sp_args usage = {"train", "[options] RECIPE", "Trains.", options, 5, 1, 2, NULL};
static int exit_code;

static bool parse(const char *line)
{
    static char text[SP_ARGS_MAX * 16];
    static char *argv[SP_ARGS_MAX * 3];
    int argc = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    json = resume = false;
    device = NULL;
    seed = 7;
    sets.n = rest.n = 0;
    return sp_args_parse(&usage, argc, argv, &rest, &exit_code);
}

TestSuite(args, .init = cr_redirect_stderr);

Test(args, all_kinds_in_any_order)
{
    cr_assert(parse("train a.yaml --json --resume -d gpu --seed=12 --set x=1 --set=y=2 b.yaml"));
    cr_assert(json && resume);
    cr_assert_str_eq(device, "gpu");
    cr_assert_eq(seed, 12);
    cr_assert_eq(sets.n, 2u);
    cr_assert_str_eq(sets.items[0], "x=1");
    cr_assert_str_eq(sets.items[1], "y=2");
    cr_assert_eq(rest.n, 2u);
    cr_assert_str_eq(rest.items[1], "b.yaml");
}

Test(args, defaults_stay_and_the_last_one_counts)
{
    cr_assert(parse("train r"));
    cr_assert(!json && !resume && !device && seed == 7 && sets.n == 0);
    cr_assert(parse("train --resume --no-resume -d a -db --seed 3 -s4 r"));
    cr_assert_not(resume);
    cr_assert_str_eq(device, "b");
    cr_assert_eq(seed, 4);
    cr_assert(parse("train --no-resume --resume r"));
    cr_assert(resume);
}

Test(args, double_dash_ends_the_options)
{
    cr_assert(parse("train -- --json -"));
    cr_assert_not(json);
    cr_assert_eq(rest.n, 2u);
    cr_assert_str_eq(rest.items[0], "--json");
    cr_assert_str_eq(rest.items[1], "-");
}

Test(args, a_value_may_look_like_an_option)
{
    cr_assert(parse("train --set --lr=-1 r"));
    cr_assert_str_eq(sets.items[0], "--lr=-1");
}

Test(args, wrong_use_ends_with_2)
{
    static const char *const wrong[] = {
        "train",
        "train a b c",
        "train --seed r",
        "train r --seed",
        "train r --seed 1001",
        "train r --seed -1",
        "train r --seed 1x",
        "train r --seed=",
        "train r --seed 99999999999999999999",
        "train r --jso",
        "train r --json=1",
        "train r --no-json",
        "train r --no-resume=1",
        "train r --no-device",
        "train r -z",
        "train r --=1",
        "train r --devicegpu",
        "train r --no-",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        exit_code = -1;
        cr_assert_not(parse(wrong[i]), "%s", wrong[i]);
        cr_assert_eq(exit_code, 2, "%s", wrong[i]);
    }
}

Test(args, messages_say_what_is_wanted)
{
    cr_assert_not(parse("train r --seed 1001"));
    cr_assert_not(parse("train r --sed 1"));
    cr_assert_not(parse("train"));
    cr_assert_stderr_eq_str("spikeport train: --seed 1001: a whole number from 0 to 1000 is wanted\n"
                            "usage: spikeport train [options] RECIPE\nTry \"spikeport train --help\".\n"
                            "spikeport train: unknown option \"--sed\"; did you mean \"--seed\"?\n"
                            "usage: spikeport train [options] RECIPE\nTry \"spikeport train --help\".\n"
                            "spikeport train: 1 more argument is needed\n"
                            "usage: spikeport train [options] RECIPE\nTry \"spikeport train --help\".\n");
}

Test(args, too_many_repeats_are_refused)
{
    static const char set[] = " --set a=1";
    static char line[SP_ARGS_MAX * 16] = "train r";
    size_t n = strlen(line);
    for (int i = 0; i < SP_ARGS_MAX; i++, n += sizeof set - 1)
        strcpy(line + n, set);
    cr_assert(parse(line));
    cr_assert_eq(sets.n, (size_t)SP_ARGS_MAX);
    strcpy(line + n, set);
    cr_assert_not(parse(line));
    cr_assert_eq(exit_code, 2);
}

Test(args, long_words_are_harmless)
{
    char line[4200] = "train r --";
    memset(line + 10, 'a', 4000);
    line[4010] = '\0';
    cr_assert_not(parse(line));
    line[9] = ' ';
    cr_assert_not(parse(line));
}

Test(args, help_wins_and_is_no_failure)
{
    cr_redirect_stdout();
    exit_code = -1;
    cr_assert_not(parse("train --help"));
    cr_assert_eq(exit_code, 0);
    cr_assert_not(parse("train -h --nonsense"));
    cr_assert_eq(exit_code, 0);
}
