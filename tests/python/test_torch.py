"""spikeport.torch.SNN beside PyTorch's own gradients: reference cases of SPIKEPORT_REFERENCE (or beside the repository), and a
dense network written out here, which gives the gradient of the input as well."""

import copy
import json
import os
import pickle
import struct
import subprocess
import sys
import unittest
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import prune

import spikeport
from spikeport.torch import SNN

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("SPIKEPORT_REFERENCE", ROOT.parent / "shared" / "reference"))
CONTEXT = spikeport.Context()
TOLERANCE = 1e-4


def read_tensors(path):
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    kinds = {"F32": np.float32, "F64": np.float64, "I64": np.int64}
    return {k: np.frombuffer(data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], kinds[v["dtype"]])
            .reshape(v["shape"]).copy() for k, v in json.loads(data[8:8 + n]).items() if k != "__metadata__"}


def open_case(case, shape, batch):
    neuron = {k: v for k, v in case["neuron"].items() if v is not None}
    layers = json.loads(json.dumps(case["layers"]))

    def clean(items):
        for layer in items:
            if layer["type"] in ("batch_norm", "td_batch_norm"):
                layer.update(eps=case["batch_norm"]["eps"], momentum=case["batch_norm"]["momentum"])
            for part in ("pre", "branch", "shortcut"):
                clean(layer.get(part) or [])
    clean(layers)
    # sltt-k at listed steps is sltt with no gradient at the others
    method = "sltt" if case["method"] == "sltt-k" else case["method"]
    schedule = {"method": method, "time_steps": case["time_steps"]}
    if case["batch_norm"]["statistics"] == "running":
        schedule["batch_norm"] = "online"
    recipe = {"data": {"name": "synthetic", "channels": 1, "height": 1, "width": 1, "classes": 2}, "seed": case.get("seed", 0),
              "neuron": neuron, "schedule": schedule, "batch": batch,
              "eval_batch": batch, "optimizer": {"name": "sgd"}, "network": layers}
    return SNN(recipe, context=CONTEXT, shape=shape, sequence=case["input_is_sequence"], steps=True)


def is_recipes_own(case):
    """Refused with a loss of the caller, or of a loss, a teacher or an optimizer that the recipe alone has."""
    loss = case["loss"]
    return (case.get("truncate") or case["method"] in ("rate", "ltl") or loss.get("of", "step") != "step"
            or loss.get("membrane") or "training" in case)


def steps_of(case):
    return case["backprop_steps"] if case["method"] == "sltt-k" else range(case["time_steps"])


def loss_of(case, logits, target):
    """Of one time step, as the README of the cases has it: mean over the batch; the sum of all time steps is over T."""
    rows = {"mse": F.mse_loss, "bce": F.binary_cross_entropy_with_logits}.get(case["loss"].get("name"))
    if rows:
        weights = torch.tensor(case["loss"].get("class_weights") or [1.0])
        return (rows(logits, target, reduction="none") * weights).mean() / case["time_steps"]
    goal = case["loss"]["mse_target"]
    goal = F.one_hot(target, case["classes"]).float() if goal == "one_hot" else torch.full_like(logits, float(goal))
    weight = case["loss"].get("class_weights")
    entropy = F.cross_entropy(logits, target, weight and torch.tensor(weight), reduction="sum",
                              label_smoothing=case["loss"].get("label_smoothing", 0)) / len(target)
    return (case["loss"]["cross_entropy"] * entropy
            + case["loss"]["mse"] * F.mse_loss(logits, goal)) / case["time_steps"]


def go_back(case, module, x, target, stepwise):
    """Outputs of all time steps, and the loss; the gradients are in the module."""
    if not stepwise:
        logits = module(x)
        loss = sum(loss_of(case, logits[t], target) for t in steps_of(case))
        loss.backward()
        return logits, loss.item()
    outputs, total = [], 0
    for t, logits in enumerate(module.time_steps(x)):
        outputs.append(logits)
        if t in steps_of(case):
            loss = loss_of(case, logits, target)
            loss.backward()
            total += loss.item()
    return torch.stack(outputs), total


class ReferenceCases(unittest.TestCase):
    def check(self, path, stepwise=False):
        case, t = json.loads(path.read_text()), read_tensors(path.with_suffix(".safetensors"))
        lead = 2 if case["input_is_sequence"] else 1
        shape = (*t["input"].shape[lead:], 1, 1)[:3]
        x = torch.from_numpy(t["input"].astype(np.float32)).reshape(*t["input"].shape[:lead], *shape)
        module = open_case(case, shape, x.shape[lead - 1])
        target = torch.from_numpy(t["target"]) if t["target"].ndim == 1 else torch.from_numpy(t["target"].astype(np.float32))
        own = module.state_dict()
        module.load_state_dict({**own, **{k[6:]: torch.from_numpy(v.astype(np.float32)).reshape(own[k[6:]].shape)
                                          for k, v in t.items() if k.startswith("param.") and k[6:] in own}})
        logits, loss = go_back(case, module, x, target, stepwise)
        self.assertAlmostEqual(case["loss_value"], loss, delta=TOLERANCE * abs(case["loss_value"]))
        np.testing.assert_allclose(logits.sum(0).detach(), t["logits_sum"], atol=TOLERANCE * np.abs(t["logits_sum"]).max())
        largest = max(np.abs(v).max() for k, v in t.items() if k.startswith("grad."))
        compared = 0
        for name, p in module.named_parameters():
            ref = t["grad." + name]
            scale = np.abs(ref).max()
            scale = scale if scale > 1e-12 * largest else largest
            self.assertLess(np.abs(p.grad.numpy() - ref.reshape(p.shape)).max(), TOLERANCE * scale, name)
            compared += 1
        for name, b in module.named_buffers():
            ref = t["after." + name]
            np.testing.assert_allclose(b, ref, atol=TOLERANCE * np.abs(ref).max(), err_msg=name)
        self.assertGreater(compared, 2)
        module.network.close()

    def test_all(self):
        own, others = sorted((ROOT / "tests" / "golden").glob("*.json")), sorted(CASES.glob("*.json"))
        self.assertGreater(len(own), 20)
        for path in own + others:
            with self.subTest(path.stem):
                case = json.loads(path.read_text())
                if is_recipes_own(case):
                    continue
                self.check(path)
                if case["method"] != "bptt":
                    self.check(path, stepwise=True)
        if not others:
            self.skipTest(f"only the cases of the repository: there are none in {CASES}")


class Triangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u >= 1).float()

    @staticmethod
    def backward(ctx, g):
        (u,) = ctx.saved_tensors
        return g * torch.clamp(1 - (u - 1).abs(), min=0)


def dense(x, w1, b1, w2, b2, sltt, tau=2.0):
    """Outputs (T, N, K) of linear, LIF with a soft reset, linear."""
    v, outputs = 0.0, []
    for frame in x:
        u = (1 - 1 / tau) * (v.detach() if sltt and torch.is_tensor(v) else v) + F.linear(frame.flatten(1), w1, b1)
        s = Triangle.apply(u)
        v = u - s
        outputs.append(F.linear(s, w2, b2))
    return torch.stack(outputs)


class Module(unittest.TestCase):
    def open(self, method, schedule=(), norm=False, **options):
        recipe = {"data": {"name": "synthetic", "channels": 1, "height": 4, "width": 4, "classes": 3},
                  "neuron": {"tau": 2.0, "surrogate": "triangle"}, "schedule": {"method": method, "time_steps": 4, **dict(schedule)},
                  "batch": 6, "eval_batch": 6, "optimizer": {"name": "sgd"},
                  "network": [{"type": "flatten"}, {"type": "linear", "out": 20}, *([{"type": "batch_norm"}] if norm else []),
                              {"type": "lif"}, {"type": "linear", "out": 3}]}
        return SNN(recipe, context=CONTEXT, **options)

    def test_own_loss_and_input_gradient(self):
        torch.manual_seed(0)
        for method in ("sltt", "bptt"):
            for sequence in (True, False):
                with self.subTest(method, sequence=sequence):
                    module = self.open(method, sequence=sequence, steps=True)
                    a = (torch.randn(*((4,) if sequence else ()), 6, 1, 4, 4) * 2).requires_grad_()
                    b = a.detach().clone().requires_grad_()
                    ours = {n: p for n, p in module.named_parameters()}
                    theirs = [p.detach().clone().requires_grad_() for p in ours.values()]
                    weight = torch.randn(4, 6, 3)
                    (module(a).tanh() * weight).sum().backward()
                    frames = b if sequence else b.expand(4, *b.shape)
                    (dense(frames, *theirs, sltt=method == "sltt").tanh() * weight).sum().backward()
                    for x, y in [(a, b), *zip(ours.values(), theirs)]:
                        self.assertLess((x.grad - y.grad).abs().max().item(), TOLERANCE * y.grad.abs().max().item())

    def test_trains_with_an_optimizer_and_a_head_of_torch(self):
        torch.manual_seed(1)
        module = self.open("sltt")
        head = torch.nn.Linear(3, 2)
        optimizer = torch.optim.AdamW([*module.parameters(), *head.parameters()], lr=0.02)
        first = None
        for i in range(40):
            y = torch.arange(6) % 2
            x = torch.rand(6, 1, 4, 4) + y.reshape(6, 1, 1, 1)
            loss = F.cross_entropy(head(module(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            first = first or loss.item()
        self.assertLess(loss.item(), first / 2)
        module.eval()
        np.testing.assert_allclose(module(x), module.network.forward(x.numpy()))
        copy = self.open("sltt", set={"seed": 9})
        copy.load_state_dict(module.state_dict())
        torch.testing.assert_close(copy.eval()(x), module(x))

    def test_time_steps(self):
        torch.manual_seed(2)
        module = self.open("sltt", sequence=True)
        x, y = torch.rand(4, 6, 1, 4, 4) * 2, torch.arange(6) % 3
        for logits in module.time_steps(x):
            F.cross_entropy(logits, y).backward()
        first = {n: p.grad.clone() for n, p in module.named_parameters()}
        seen = []
        for logits in module.time_steps(x):  # gradients are added up
            seen.append(logits.detach())
            F.cross_entropy(logits, y).backward()
        for n, p in module.named_parameters():
            torch.testing.assert_close(p.grad, 2 * first[n])
        for _ in module.time_steps(x):  # left early, and without a loss: nothing is added
            break
        for _ in module.time_steps(x):
            pass
        for n, p in module.named_parameters():
            torch.testing.assert_close(p.grad, 2 * first[n])
        module.eval()
        torch.testing.assert_close(torch.stack(list(module.time_steps(x))), torch.stack(seen), rtol=1e-5, atol=1e-5)

    def test_misuse_of_time_steps(self):
        with self.assertRaisesRegex(spikeport.ConfigError, "bptt goes back through time"):
            next(self.open("bptt").time_steps(torch.rand(6, 1, 4, 4)))
        module = self.open("sltt")
        x = torch.rand(6, 1, 4, 4)
        with self.assertRaisesRegex(RuntimeError, "gives no gradient of the input"):
            next(module.time_steps(x.clone().requires_grad_()))
        steps = module.time_steps(x)
        a, b = next(steps), next(steps)
        with self.assertRaisesRegex(RuntimeError, "this time step is over"):
            a.sum().backward()
        b.sum().backward(retain_graph=True)
        with self.assertRaisesRegex(RuntimeError, "this time step is over"):
            b.sum().backward()
        module(x)
        with self.assertRaisesRegex(RuntimeError, "another pass"):
            next(steps)

    def test_changes_that_no_version_counts(self):
        module = self.open("sltt")
        x = torch.rand(6, 1, 4, 4)
        for change in (lambda p: p.data.mul_(2), lambda p: p.detach().numpy().__imul__(2)):
            for training in (True, False):
                module.train(training)
                before = module(x)
                change(module.get_parameter("3.weight"))
                change(module.get_parameter("3.bias"))
                torch.testing.assert_close(2 * before, module(x))

    def test_what_pytorch_does_with_modules(self):
        module = self.open("sltt")
        x = torch.rand(6, 1, 4, 4)
        for copied in (copy.deepcopy, pickle.dumps):
            with self.assertRaisesRegex(TypeError, "load_state_dict"):
                copied(module)
        with self.assertRaisesRegex(RuntimeError, "Missing key.*3.weight"):
            module.load_state_dict({k: v for k, v in module.state_dict().items() if k != "3.weight"})
        with self.assertRaisesRegex(RuntimeError, "size mismatch"):
            module.load_state_dict({**module.state_dict(), "3.weight": torch.zeros(3, 4)})
        with torch.inference_mode():
            self.assertEqual((6, 3), module.eval()(x).shape)
        module.train()
        with torch.no_grad():
            module.get_parameter("3.bias")[0] = torch.nan
        with self.assertRaisesRegex(spikeport.NumericError, "3.bias"):
            module(x)
        with torch.no_grad():
            module.get_parameter("3.bias")[0] = 0
        with self.assertRaisesRegex(spikeport.NumericError, "gradient of the outputs is not finite"):
            (module(x) * torch.inf).sum().backward()
        with self.assertRaisesRegex(spikeport.NumericError, "sample 2"):
            module(torch.where(torch.arange(6).reshape(6, 1, 1, 1) == 1, torch.nan, x))
        module.get_parameter("1.weight").requires_grad_(False)
        module(x.transpose(2, 3).transpose(2, 3).expand(6, 1, 4, 4)).sum().backward()
        self.assertIsNone(module.get_parameter("1.weight").grad)
        self.assertGreater(module.get_parameter("3.weight").grad.abs().max(), 0)
        prune.l1_unstructured(module.get_submodule("1"), "weight", 0.5)
        for training in (True, False):
            with self.assertRaisesRegex(RuntimeError, "prune.remove"):
                module.train(training)(x)
        prune.remove(module.get_submodule("1"), "weight")
        self.assertEqual((6, 3), module(x).shape)
        module.network.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            module(x)

    def test_subclass_with_layers_of_its_own(self):
        class WithHead(SNN):
            def __init__(self, source, **options):
                super().__init__(source, **options)
                self.head = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))

            def forward(self, x):
                return self.head(super().forward(x))
        module = WithHead(self.open("sltt").network)
        module(torch.rand(6, 1, 4, 4)).square().sum().backward()
        self.assertTrue(all(p.grad is not None for p in module.parameters()))
        for logits in module.time_steps(torch.rand(6, 1, 4, 4)):
            logits.sum().backward()

    def test_example(self):
        out = subprocess.run([sys.executable, ROOT / "examples" / "train_torch.py", "40"], capture_output=True, text=True,
                             check=True).stdout
        self.assertRegex(out, r"(9\d|100)% of 96 new samples are right")

    def test_misuse(self):
        module = self.open("sltt")
        x = torch.rand(6, 1, 4, 4)
        with self.assertRaisesRegex(TypeError, "float32"):
            module(x.double())
        with self.assertRaisesRegex(ValueError, "exactly 6"):
            module(x[:5])
        a, b = module(x), module(x)
        with self.assertRaisesRegex(RuntimeError, "another forward"):
            a.sum().backward()
        b.sum().backward(retain_graph=True)
        with self.assertRaisesRegex(RuntimeError, "another forward"):
            b.sum().backward()
        with self.assertRaises(TypeError):
            self.open("sltt").double()(x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that masked tensors are a prototype
            for odd in (torch.masked.masked_tensor(x, x > 0.5), x.to_sparse()):
                for run in (module, module.eval(), module.network.forward):
                    with self.assertRaisesRegex(TypeError, "numpy cannot read"):
                        run(odd)
                    module.train()

    def test_shards_are_refused(self):
        """Their gradients are summed by `spikeport train` alone."""
        module, x = self.open("sltt", {"shards": 2}), torch.rand(6, 1, 4, 4)
        for use in (module, lambda x: list(module.time_steps(x))):
            with self.assertRaisesRegex(spikeport.ConfigError, "shards is 2"):
                use(x)
        module.eval()(x)

    def test_a_parameter_of_another_shape(self):
        module, x = self.open("sltt"), torch.rand(6, 1, 4, 4)
        p = dict(module.named_parameters())["1.weight"]
        kept = p.data
        for wrong in (torch.zeros(0), kept[:3].clone(), kept.t().contiguous()):
            p.data = wrong
            with self.assertRaisesRegex(ValueError, "1.weight has shape"):
                module(x)
        p.data = kept
        module(x)

    def test_forked_child(self):
        """It must not wait for threads of PyTorch that it does not have."""
        script = ("import os, torch, spikeport.torch as s; torch.set_num_threads(2); torch.sin(torch.rand(3000000)); pid = os.fork()\n"
                  "if pid == 0: s.SNN._free_cores(type('', (), {'_shares_cores': True})()); os._exit(7)\n"
                  "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))")
        out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        self.assertEqual(out.stdout.strip(), "7", out.stderr)

    def test_two_modules_on_one_network(self):
        a = self.open("sltt")
        b, x = SNN(a.network), torch.rand(6, 1, 4, 4)
        waits = a(x).sum()
        b(x)
        with self.assertRaisesRegex(RuntimeError, "another forward"):
            waits.backward()
        waits = a(x).sum()
        a.network.load_state_dict(a.network.state_dict())
        with self.assertRaisesRegex(spikeport.UsageError, "nothing to go back over"):
            waits.backward()
        loop = a.time_steps(x)
        step = next(loop)
        next(b.time_steps(x))
        with self.assertRaisesRegex(RuntimeError, "time step is over"):
            step.sum().backward()
        with self.assertRaisesRegex(RuntimeError, "another pass"):
            next(loop)

    def test_online_statistics_follow(self):
        module, x = self.open("sltt", {"batch_norm": "online"}, norm=True), torch.rand(6, 1, 4, 4)
        before = module.get_buffer("2.running_mean").clone()
        module(x).sum().backward()
        after = module.get_buffer("2.running_mean").clone()
        self.assertGreater((after - before).abs().max().item(), 0)
        module(x).sum().backward()
        self.assertGreater((module.get_buffer("2.running_mean") - after).abs().max().item(), 0)

    def test_threads_behind_loops_that_overlap(self):
        before = torch.get_num_threads()
        a, b, x = self.open("sltt"), self.open("sltt"), torch.rand(6, 1, 4, 4)
        for s, t in zip(a.time_steps(x), b.time_steps(x)):
            s.sum().backward(), t.sum().backward()
        list(b.time_steps(x))
        self.assertEqual(torch.get_num_threads(), before)

    def test_hooks_that_a_loop_would_not_call(self):
        module, x = self.open("sltt"), torch.rand(6, 1, 4, 4)
        module.get_parameter("1.weight").register_hook(lambda g: g)
        with self.assertRaisesRegex(RuntimeError, "1.weight has a hook"):
            next(module.time_steps(x))
        module(x).sum().backward()

    @unittest.skipUnless(CONTEXT.device.type == "cpu" and torch.get_num_threads() > 1, "needs threads that share the device's cores")
    def test_threads_of_pytorch_end_before_the_device_works(self):
        """They would spin on its cores for milliseconds, a tenth of a step of a small network."""
        module, x, big = self.open("sltt"), torch.rand(6, 1, 4, 4), torch.rand(4_000_000)
        tasks, seen = lambda: len(os.listdir("/proc/self/task")), []
        for name in "_forward_train", "_backward":
            def counted(*given, pass_=getattr(module.network, name)):
                seen.append(tasks())
                return pass_(*given)
            setattr(module.network, name, counted)
        module(x).sum().backward()
        quiet = seen[-1]
        busy = [torch.add(big, 1).numel() and tasks()]
        y = module(x)
        busy += [torch.add(big, 1).numel() and tasks()]
        y.sum().backward()
        self.assertTrue(min(busy) > quiet and max(seen[2:]) <= quiet, f"threads: {quiet}, {busy} after PyTorch, {seen[2:]} in passes")


if __name__ == "__main__":
    unittest.main()
