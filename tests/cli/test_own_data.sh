# A person's own data, from files to predictions: class folders that are not divided and of unequal sizes, balanced
# sampling that resumes inside an epoch with the same bits, and arrays.
. "$(dirname "$0")/support.sh"
command -v python3 >/dev/null || { echo "skipped: python3 draws the pictures and is not here"; exit 77; }
cd "$work" || exit 1
cat >draw.py <<'END'
import os, random, struct, zlib

def png(path, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(r) for r in rows))) + chunk(b"IEND", b""))

random.seed(1)
for name, count in (("across", 60), ("down", 12)):
    for i in range(count + 2):
        stripe = lambda k: 200 if k // 2 % 2 else 20
        png("%s/%s/%d.png" % ("pictures" if i < count else "new", name, i),
            [[stripe(y if name == "across" else x) + random.randrange(50) for x in range(8)] for y in range(8)])
END
python3 draw.py
cat >own.yaml <<'END'
name: own
data: {name: images, path: pictures, split: 0.75, size: 8, resize: 8, mean: 0.5, std: 0.25, sampling: balanced, augment: [flip]}
network: [{type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif}, {type: flatten}, {type: linear, out: 2}]
schedule: {time_steps: 2}
optimizer: {lr: 0.05}
batch: 6
epochs: 2
log_every: 3
END
run train own.yaml --out whole
[ "$code" -eq 4 ] && { echo "skipped: no OpenCL device"; exit 77; }
expect_code 0
run train own.yaml --out parts --max-iterations 5
expect_code 130
run train --resume parts
expect_code 0
run diff whole parts
expect_code 0
expect_out "0 of"
run predict whole new/across/60.png new/across/61.png new/down/12.png new/down/13.png --json
expect_code 0
[ "$(grep -c across "$work/out")" -ge 2 ] || fail "the classes of the new pictures have no names"

echo "own data: ok"
