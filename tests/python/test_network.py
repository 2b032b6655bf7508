"""The package on a device: shapes, training, misuse. SPIKEPORT_PROGRAM names the program to compare with."""

import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np

import spikeport

RECIPE = "synthetic_tiny"
TINY = {"data": {"name": "synthetic", "channels": 1, "height": 4, "width": 4, "classes": 2},
        "schedule": {"method": "sltt", "time_steps": 3}, "optimizer": {"name": "sgd", "lr": 0.1}, "batch": 8,
        "eval_batch": 4, "log_every": 2, "epochs": 2,
        "network": [{"type": "flatten"}, {"type": "linear", "out": 16}, {"type": "lif"}, {"type": "linear", "out": 2}]}
CONTEXT = spikeport.Context()


def make(n, sequence=0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    x = rng.random((n, 1, 4, 4), dtype=np.float32) * 0.3
    x[y == 1, :, :, 2:] += 1
    return (np.stack([x] * sequence) if sequence else x), y


class Base(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def open(self, source=None, **options):
        network = spikeport.Network(source or TINY, context=CONTEXT, **options)
        self.addCleanup(network.close)
        return network


class Devices(Base):
    def test_one_is_the_default(self):
        found = spikeport.devices()
        self.assertEqual(1, sum(d.is_default for d in found))
        self.assertEqual(CONTEXT.device.name, next(d.name for d in found if d.is_default))
        self.assertRegex(spikeport.__version__, r"^\d+\.\d+\.\d+$")

    def test_unknown(self):
        with self.assertRaises(spikeport.DeviceError):
            spikeport.Context("no such device")


class Training(Base):
    def test_steps_learn_and_forward_predicts(self):
        network = self.open()
        for i in range(60):
            step = network.step(*make(8, seed=i))
        self.assertEqual((60, 3), (step.iteration, step.backprop_steps))
        x, y = make(9, seed=99)
        logits, records = network.forward(x, record=True)
        self.assertGreater(np.mean(logits.argmax(1) == y), 0.9)
        np.testing.assert_allclose(network(x, steps=True).sum(0), logits, rtol=1e-5, atol=1e-5)
        recording = records["2"]
        self.assertEqual((3, 9, 16, 1, 1), recording.spikes.shape)
        np.testing.assert_array_equal(recording.spikes, recording.potentials >= 1)
        self.assertEqual({"1.weight", "1.bias", "3.weight", "3.bias"}, set(network.gradients()))

    def test_sequences(self):
        network = self.open(sequence=True, shape=(1, 4, 4))
        x, y = make(8, sequence=3)
        self.assertEqual(x.shape, network.input_shape(8))
        self.assertGreater(network.step(x, y).loss, 0)
        np.testing.assert_array_equal(network.forward(x)[:3], network.forward(x[:, :3]))

    def test_rows_of_numbers(self):
        network = self.open({**TINY, "data": {"name": "arrays", "path": "none"}, "loss": {"name": "mse"}}, shape=(1, 4, 4))
        x, y = make(8)
        rows = np.stack([y, 1 - y], 1).astype(np.float32)
        steps = [network.step(x, rows) for _ in range(40)]
        self.assertLess(steps[-1].loss, steps[0].loss / 2)
        self.assertTrue(np.isnan(steps[0].accuracy))
        for bad in (y, rows[:, :1], rows * np.float32(np.nan)):
            with self.assertRaises(ValueError):
                network.step(x, bad)

    def test_state_travels(self):
        a, b = self.open(), self.open(set={"seed": 5})
        a.step(*make(8))
        b.load_state_dict(a.state_dict())
        a.save(self.folder / "w.st")  # any name will do
        c = self.open(str(self.folder / "w.st"), inference=True)
        x, _ = make(5)
        np.testing.assert_array_equal(a(x), b(x))
        np.testing.assert_array_equal(a(x), c(x))
        a.save_checkpoint(self.folder / "c.safetensors")
        b.resume(self.folder / "c.safetensors")
        self.assertEqual(a.step(*make(8)), b.step(*make(8)))
        with self.assertRaisesRegex(ValueError, "shape"):
            b.load_state_dict({**a.state_dict(), "1.bias": np.zeros(3, np.float32)})
        with self.assertRaisesRegex(KeyError, "1.bais"):
            b.load_state_dict({"1.bais": 0})

    def test_same_bits_as_the_program(self):
        program = os.environ.get("SPIKEPORT_PROGRAM")
        if not program:
            self.skipTest("SPIKEPORT_PROGRAM is not set")
        subprocess.run([program, "train", RECIPE, "--out", self.folder / "program"], check=True,
                       stderr=subprocess.DEVNULL)
        ours = spikeport.train(RECIPE, self.folder / "python", callback=None, context=CONTEXT)
        theirs = self.open(str(self.folder / "program"))
        for name, value in theirs.state_dict().items():
            self.assertEqual(value.tobytes(), ours.state_dict()[name].tobytes(), name)
        scores, ours = self.ask(program, "eval", self.folder / "program")[0], ours.evaluate()
        self.assertEqual((scores["samples"], scores["loss"], scores["accuracy"]), (ours.samples, ours.loss, ours.accuracy))
        x = np.random.default_rng(3).random(theirs.input_shape(5), dtype=np.float32)
        np.save(self.folder / "x.npy", x)
        predicted = self.ask(program, "predict", self.folder / "program", self.folder / "x.npy")
        means = theirs.forward(x) / np.float32(theirs.time_steps)
        self.assertEqual(means.tobytes(), np.float32([p["logits"] for p in predicted]).tobytes())

    def ask(self, program, *arguments):
        out = subprocess.run([program, *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def test_data_of_ones_own(self):
        network, seen = self.open(), []
        self.assertTrue(network.train(self.folder / "run", data=make(64), test=make(16, seed=1), callback=seen.append))
        self.assertEqual([None, None, None, None, seen[4].test_loss], [p.test_loss for p in seen[:5]])
        self.assertEqual(2, seen[-1].epoch)
        self.assertEqual(16, network.evaluate(make(16, seed=1)).samples)
        x, y = make(64)
        samples = [(x[i], y[i]) for i in range(64)]
        self.assertFalse(network.train(self.folder / "two", data=samples, test=samples, callback=lambda p: True))

    def test_progress_is_printed(self):
        code = ("import spikeport, sys; spikeport.train('synthetic_tiny', sys.argv[1], set={'epochs': 1})")
        out = subprocess.run([sys.executable, "-c", code, self.folder / "r"], capture_output=True, text=True, check=True)
        self.assertRegex(out.stdout, r"epoch 1/1: loss [\d.]+, accuracy .*, test ")


class Examples(Base):
    def test_train_arrays(self):
        root = Path(__file__).resolve().parents[2]
        recordings = Path(os.environ.get("SPIKEPORT_TEST_DATA", root.parent / "shared" / "data")) / "nmnist"

        def run(steps, folder):
            return subprocess.run([sys.executable, root / "examples" / "train_arrays.py", str(steps), folder],
                                  capture_output=True, text=True, check=True).stdout

        out = run(60, self.folder)
        self.assertIn("moving bars stand in for it", out)
        self.assertRegex(out, r"(9\d|100)% of 100 new samples are right")
        if not recordings.is_dir():
            self.skipTest(f"only the stand-in: there are no recordings of N-MNIST in {recordings}")
        self.assertRegex(run(60, recordings), r"([5-9]\d|100)% of 60 new samples are right")


class Misuse(Base):
    def test_shapes_and_types(self):
        network = self.open()
        x, y = make(8)
        for bad, error in ((x[:, :, :3], ValueError), (x.astype(np.float64), TypeError), (x[:4], ValueError),
                           (x * np.inf, ArithmeticError), ("text", TypeError)):
            with self.assertRaises(error):
                network.step(bad, y[:len(bad)] if len(bad) != 8 else y)
        for bad, error in ((y[:7], ValueError), (y.astype(np.float32), TypeError), (y + 2, ValueError)):
            with self.assertRaises(error):
                network.step(x, bad)
        for hidden in ((np.ma.masked_array(x, x > 0), y), (x, np.ma.masked_array(y, y > 0))):
            with self.assertRaisesRegex(TypeError, "masked array"):
                network.step(*hidden)
        with self.assertRaisesRegex(ValueError, "shape.1. is 8589934592, which does not fit 32 bits"):
            self.open(shape=(1, 2**33, 4))
        with self.assertRaisesRegex(TypeError, "shape.2. is 4.0"):
            self.open(shape=(1, 4, 4.0))
        with self.assertRaisesRegex(ValueError, "log_level"):
            spikeport.Context(log_level=2**32 + 1)
        with self.assertRaisesRegex(ValueError, "epoch is"):
            network.scheduled_lr(2**64)
        with self.assertRaisesRegex(KeyError, "bais"):
            network.gradient("bais")
        with self.assertRaisesRegex(spikeport.ConfigError, "tua"):
            self.open({**TINY, "neuron": {"tua": 2}})
        with self.assertRaises(ValueError):
            network.forward(x, record=["nine"])
        self.assertGreater(network.step(x, y).loss, 0)

    def test_data_that_are_none(self):
        network = self.open()
        x, y = make(8)

        def train(data):
            network.train(self.folder / "run", data=data, test=(x, y), overwrite=True)
        for data, error, text in ((((x[0], 0) for _ in range(8)), TypeError, "DataLoader"), ([x, y], TypeError, "not of pairs"),
                                  (x, TypeError, "no pair"),
                                  ([(x[0], 0.5)] * 8, TypeError, "0.5"), ([(x[0], 2**32)] * 8, ValueError, "32 bits"),
                                  ([(x[0], 2)] * 8, spikeport.DataError, "label 2"), ([], spikeport.UsageError, "count"),
                                  ([(x[0].T.copy(), 0)] * 8, ValueError, "shape"), ((x, y[:5]), ValueError, "labels")):
            with self.subTest(text), self.assertRaisesRegex(error, text):
                train(data)
        train([(x[i], np.int64(y[i])) for i in range(8)])

    def test_views_and_foreign_numbers(self):
        network = self.open()
        x, _ = make(8)
        wide = np.zeros((8, 1, 4, 8), np.float32)
        wide[..., ::2] = x
        for view in (wide[..., ::2], np.asfortranarray(x), memoryview(x)):
            np.testing.assert_array_equal(network(x), network(view))
        read_only = x.copy()
        read_only.flags.writeable = False
        np.testing.assert_array_equal(network(x), network(read_only))
        with self.assertRaisesRegex(TypeError, ">f4"):
            network(x.astype(">f4"))
        for bad in (np.nan, -np.inf):
            with self.assertRaisesRegex(spikeport.NumericError, "sample 3"):
                network(np.where(np.arange(8).reshape(8, 1, 1, 1) == 2, np.float32(bad), x))
        with self.assertRaisesRegex(ValueError, "finite"):
            network.load_state_dict({**network.state_dict(), "1.bias": np.full(16, np.nan, np.float32)})
        for lr in (np.nan, -1):
            with self.assertRaisesRegex(spikeport.UsageError, "learning rate"):
                network.lr = lr
        with self.assertRaisesRegex(spikeport.UsageError, "mini-batch 5 of 5"):
            network.scheduled_lr(0, 5, 5)
        np.testing.assert_array_equal(network.forward(x, record="2")[0], network(x))
        with self.assertRaisesRegex(spikeport.Error, "nosuch"):
            spikeport.Network(TINY, context=spikeport.Context(plugins="gemm=nosuch"))

    def test_copies(self):
        network = self.open()
        for thing in (network, CONTEXT):
            for copied in (copy.copy, copy.deepcopy, pickle.dumps):
                with self.assertRaisesRegex(TypeError, "load_state_dict"):
                    copied(thing)

    def test_devices_from_two_threads_at_first(self):
        """PoCL crashes where two threads ask for devices before anybody has."""
        script = ("import threading, spikeport\nboth, found = threading.Barrier(2), []\n"
                  "def ask(): both.wait(); found.append(len(spikeport.devices()))\n"
                  "threads = [threading.Thread(target=ask) for _ in range(2)]\n[t.start() for t in threads]; [t.join() for t in threads]\n"
                  "assert len(found) == 2 and found[0] == found[1] > 0, found")
        for _ in range(4):
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_passes_out_of_order(self):
        network = self.open()
        x, y = make(8)
        g = np.zeros((8, 2), np.float32)
        with self.assertRaisesRegex(spikeport.UsageError, "no gradient yet"):
            network.gradients()
        with self.assertRaisesRegex(spikeport.UsageError, "no time step"):
            network.forward_step()
        network.begin_steps(x)
        network.step(x, y)
        with self.assertRaisesRegex(spikeport.UsageError, "no time step"):
            network.forward_step()
        network.begin_steps(x)
        network.forward_step()
        with self.assertRaisesRegex(ValueError, "shape"):
            network.backward_step(g[:4])
        with self.assertRaisesRegex(spikeport.NumericError, "not finite"):
            network.backward_step(g + np.nan)
        network.backward_step(g)
        network.end_steps()
        self.assertEqual(0, np.abs(network.gradient("3.bias")).max())
        inference = self.open(inference=True)
        with self.assertRaisesRegex(spikeport.UsageError, "opened for inference"):
            inference.step(x, y)

    def test_closing_and_calling_in_callbacks(self):
        for action in (lambda n: n.close(), lambda n: n.step(*make(8))):
            network = self.open()
            with self.assertRaises(ValueError):
                network.train(self.folder / "run", data=make(64), test=make(8), overwrite=True,
                              callback=lambda p: (action(network), network.lr))

    def test_class_weights_with_data_of_ones_own(self):
        network = self.open(set={"loss.class_weights": [1, 0.5], "epochs": 1})
        network.train(self.folder / "weights", data=make(16), test=make(8), callback=lambda _: True)

    def test_another_thread_is_told(self):
        network, told = self.open(), []

        def ask():
            try:
                network.forward(make(1)[0])
            except spikeport.UsageError as e:
                told.append(str(e))

        def report(_):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
            return True
        self.assertFalse(network.train(self.folder / "run", data=make(64), test=make(8), callback=report))
        self.assertIn("another thread", told[0])

    def test_closed(self):
        network = spikeport.Network(TINY, context=CONTEXT)
        network.close()
        network.close()
        context = spikeport.Context()
        context.close()
        for call in (lambda: network.state_dict(), lambda: network.forward(make(1)[0]), lambda: network.lr,
                     lambda: context.device, lambda: spikeport.Network(TINY, context=context)):
            with self.assertRaisesRegex(ValueError, "closed"):
                call()

    def test_exception_in_callbacks(self):
        network = self.open()

        class Oops(Exception):
            pass

        def report(_):
            raise Oops("report")

        class Broken:
            def __len__(self):
                return 64

            def __getitem__(self, i):
                if i == 7:
                    raise Oops("sample 7")
                return make(1, seed=i)[0][0], i % 2

        with self.assertRaisesRegex(Oops, "report"):
            network.train(self.folder / "a", data=make(64), test=make(8), callback=report)
        self.assertTrue((self.folder / "a" / "checkpoint.safetensors").exists())
        with self.assertRaisesRegex(Oops, "sample 7"):
            network.train(self.folder / "b", data=Broken(), test=make(8))
        self.assertGreater(network.step(*make(8)).loss, 0)

    def test_ctrl_c_saves_and_raises(self):
        network = self.open(set={"epochs": 500})
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            network.train(self.folder / "run", data=make(64), test=make(8), callback=lambda p: None)
        self.assertTrue((self.folder / "run" / "checkpoint.safetensors").exists())

    def test_signals_while_kernels_are_compiled(self):
        """Ctrl-C in a terminal reaches the compiler in a driver, and the processes that it starts; kernels are compiled all the same."""
        script = ("import signal, sys, spikeport\n"
                  "signal.signal(signal.SIGINT, lambda *_: None)\n"
                  "print('ready', flush=True)\n"
                  f"spikeport.Network({TINY!r})\n"
                  "signal.signal(signal.SIGINT, signal.SIG_IGN)\n")
        places = {"POCL_CACHE_DIR": str(self.folder / "pocl"), "SPIKEPORT_CACHE_DIR": str(self.folder / "cold")}
        with subprocess.Popen([sys.executable, "-c", script], env={**os.environ, **places}, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, start_new_session=True) as p:
            p.stdout.readline()
            while p.poll() is None:
                os.killpg(p.pid, signal.SIGINT)
                time.sleep(0.05)
        self.assertEqual(p.returncode, 0)
        known = self.folder / "cold" / "conformance.jsonl"
        for line in known.read_text().splitlines() if known.exists() else ():
            row = json.loads(line)
            self.assertTrue(row.get("result") == "ok" or "lost" in row, line)

    def test_fork(self):
        network = self.open()
        child = os.fork()
        if child == 0:
            try:
                network.step(*make(8))
            except spikeport.UsageError as e:
                os._exit(0 if "fork" in str(e) else 1)
            os._exit(2)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def test_two_threads(self):
        results = []

        def work():
            with spikeport.Network(TINY) as network:
                results.append([network.step(*make(8, seed=i)).loss for i in range(10)])

        threads = [threading.Thread(target=work) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(results[0], results[1])

    def test_no_opencl_loader(self):
        code = ("import ctypes; real = ctypes.CDLL\n"
                "def no(name, *a, **k):\n"
                "    if 'OpenCL' in str(name): raise OSError(name)\n"
                "    return real(name, *a, **k)\n"
                "ctypes.CDLL = no\nimport spikeport")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual(1, done.returncode)
        self.assertIn("pip install spikeport[cpu]", done.stderr)


if __name__ == "__main__":
    unittest.main()
