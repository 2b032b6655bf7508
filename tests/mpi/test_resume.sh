# A checkpoint of 4 ranks goes on with 2 ranks, or in one process, to the same bits; a run without schedule.shards keeps the
# number that it began with.
. "$(dirname "$0")/support.sh"
set -- -s data.count=320 -s data.train_limit=320 -s epochs=2 -s checkpoint_every=3
ranks 4 train "$tiny" "$@" --out "$work/whole"
expect_code 0
expect_err "shards: 4 of 8 samples"
ranks 4 train "$tiny" "$@" --out "$work/part" --max-iterations 13 # in the second epoch
expect_code 130
[ "$(grep -c "interrupted in epoch 2" "$work/err")" = 1 ] || fail "one rank alone says that the run was interrupted"
cp -r "$work/part" "$work/alone"
ranks 2 train --resume "$work/part"
expect_code 0
same "$work/whole" "$work/part"
run train --resume "$work/alone"
expect_code 0
same "$work/whole" "$work/alone"

# More ranks than shards.
ranks 3 train "$tiny" "$@" -s schedule.shards=2 --out "$work/few"
expect_code 3
expect_err "schedule.shards is 2, but 3 devices or ranks"
