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

# Numbers and several labels: arrays, and a table of pictures; what they cannot be used with is refused by name.
cat >rows.py <<'END'
import random, struct, zipfile

def npz(path, **arrays):
    with zipfile.ZipFile(path, "w") as z:
        for name, rows in arrays.items():
            head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }\n" % (len(rows), len(rows[0]))
            flat = [v for row in rows for v in row]
            z.writestr(name + ".npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode()
                       + struct.pack("<%df" % len(flat), *flat))

random.seed(1)
x = [[random.uniform(-1, 1) for _ in range(6)] for _ in range(240)]
npz("numbers.npz", x=x, y=[[r[0] + r[1], r[2] - 0.5] for r in x])
with open("labels.csv", "w") as f:
    print("file,across,\"down, down\",split", file=f)
    for name, count in (("across", 60), ("down", 12)):
        for i in range(count):
            print("pictures/%s/%d.png,%d,%d,%s" % (name, i, name == "across", name == "down", "test" if i % 4 == 3 else "train"), file=f)
END
python3 rows.py
cat >numbers.yaml <<'END'
name: numbers
data: {name: arrays, path: numbers.npz}
network: [{type: linear, out: 32}, {type: lif}, {type: linear, out: 2}, {type: lif, output: membrane, tau: 2.0}]
schedule: {time_steps: 3}
loss: {name: mse, of: mean}
optimizer: {name: adam, lr: 0.02}
batch: 12
epochs: 12
log_every: 9
END
run train numbers.yaml --out numbers
expect_code 0
run train numbers.yaml --out numbers_parts --max-iterations 40
expect_code 130
run train --resume numbers_parts
expect_code 0
run diff numbers numbers_parts
expect_code 0
expect_out "0 of"
run eval numbers --json
expect_code 0
python3 -c 'import json, sys; j = json.loads(open(sys.argv[1]).read())
assert j["squared_error"] < 0.08 and len(j["outputs"]) == 2 and "accuracy" not in j, j
assert abs(sum(o["absolute_error"] for o in j["outputs"]) / 2 - j["absolute_error"]) < 1e-9, j
e = [json.loads(l) for l in open("numbers/metrics.jsonl")]
assert abs(e[-2]["test_squared_error"] - j["squared_error"]) < 1e-9 and e[-2]["test_accuracy"] is None, e[-2]
c = [l.strip().split(",") for l in open("numbers/metrics.csv")]
rows = [l for l in e if l["event"] in ("batch", "epoch")]
assert len(c) == 1 + len(rows) and all(float(r[c[0].index("loss")]) == l["loss"] for r, l in zip(c[1:], rows)), c[:3]' "$work/out" ||
    fail "the scores of numbers"
run predict numbers numbers.npz
expect_code 0
[ "$(head -1 "$work/out")" = "input,output,name,value,steps" ] && [ "$(wc -l <"$work/out")" -eq 481 ] || fail "no line for each number"
run predict numbers numbers.npz --confidence 0.9
expect_code 2
run train own.yaml --set loss.name=mse --out no
expect_code 3
expect_err balanced
run train numbers.yaml --set measure=accuracy --out no
expect_code 3
run train numbers.yaml --set data.name=synthetic --out no
expect_code 3
cat >labels.yaml <<'END'
base: own.yaml
name: labels
data: {name: images, path: labels.csv, size: 8, resize: 8, mean: 0.5, std: 0.25, sampling: uniform}
loss: {name: bce}
batch: 9
epochs: 4
END
run data inspect labels.yaml --set data.split=0
expect_code 0
expect_out "target    0  0 to 1, mean 0.8333  across"
run train labels.yaml --set data.split=0 --out labels
expect_code 0
run eval labels
expect_code 0
expect_out "exact match"
expect_out "down, down"
run predict labels new/across/60.png new/down/12.png --json
expect_code 0
python3 -c 'import json, sys; a, b = [json.loads(l)["outputs"] for l in open(sys.argv[1])]
assert a[0]["has"] and not a[1]["has"] and b[1]["has"] and a[0]["name"] == "across", (a, b)' "$work/out" || fail "the labels of new pictures"


# One class alone is nothing to tell apart; samples of one among several are said.
mkdir alone && cp -r pictures/down alone
run train own.yaml --set data.path=alone --out one
expect_code 7
expect_err 'all its samples are of one class ("down"), so there is nothing to tell apart'
{ for i in 0 1 2 3 4 5 6 7; do echo "pictures/down/$i.png,1,train"; done; echo "pictures/across/1.png,0,test"; } >single.csv
sed -i '1i file,label,split' single.csv
run train own.yaml --set data.path=single.csv --set data.split=0 --set data.sampling=uniform --out single
expect_code 0
expect_err 'all 8 training samples have label 1 of 2 classes'

# Numbers and names in one table are names, which is said.
sed 's/,0,test/,across,test/' single.csv >mixed.csv
run data inspect own.yaml --set data.path=mixed.csv --set data.split=0 --set data.sampling=uniform
expect_code 0
expect_err 'mixed.csv: 8 of 9 labels are whole numbers (1 in line 2) and the others are names ("across" in line 10)'

echo "own data: ok"
